import pytest

from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.data import batches, open_loader
from repmlp_lite.errors import ConfigError
from tests.programs import run_python


def test_all_samples_once_with_a_bar(project, terminal):
    loader = open_loader(read_config(project.config), 'test')
    counts = [len(batch['data_samples']) for batch in batches(loader)]
    assert counts == [16, 4]
    assert '2/2' in terminal.getvalue()


@pytest.mark.parametrize(('options', 'message'), [
    (dict(data_root='/nowhere'), "test data set in '/nowhere' cannot be read"),
    (dict(indices=0), 'the test data set is empty'),
    (dict(ann_file='a.pkl'), "'a.pkl' is not read, because"),
    (dict(classes=3), 'the test data of the config cannot be read: Unsupport'),
    (dict(type='BaseDataset', data_root='', ann_file='bom.json'),
     "whose annotations are in 'bom.json', cannot be read: .*BOM"),
])
def test_data_that_cannot_be_had(project, tmp_path, monkeypatch, options,
                                 message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'bom.json').write_bytes(b'\xef\xbb\xbf{}')
    cfg = read_config(project.config)
    cfg.test_dataloader.dataset.update(options)
    with pytest.raises(ConfigError, match=message):
        open_loader(cfg, 'test')


def test_what_a_machine_lacks_is_no_warning():
    done = run_python(
        '-c', 'import mmcls_repmlp, warnings; '
        'warnings.simplefilter("always", append=True); '
        'from torch.utils.data import DataLoader; '
        'assert DataLoader([0], num_workers=999).num_workers == 999')
    assert done.returncode == 0 and 'DataLoader' not in done.stderr
