import pytest
import torch

from mmcls_repmlp.apis._shared.config import loader_config, read_config
from mmcls_repmlp.apis._shared.data import batches, open_loader
from mmcls_repmlp.errors import ConfigError
from tests.programs import run_python


def test_all_samples_once_with_a_bar(project, terminal):
    loader = open_loader(read_config(project.config), 'test')
    counts = [len(batch['data_samples']) for batch in batches(loader)]
    assert counts == [16, 4]
    assert '2/2' in terminal.getvalue()


@pytest.mark.parametrize(
    ('options', 'message'),
    [({
        'data_root': '/nowhere'
    }, "test data set in '/nowhere' cannot be read"),
     ({
         'indices': 0
     }, 'the test data set is empty'),
     ({
         'ann_file': 'a.pkl'
     }, "'a.pkl' is not read, because"),
     ({
         'classes': 3
     }, 'the test data of the config cannot be read: Unsupport'),
     ({
         'type': 'BaseDataset',
         'ann_file': 'BOM'
     }, "whose annotations are in '.*bom.json', cannot be read: .*BOM")])
def test_data_that_cannot_be_had(project, tmp_path, options, message):
    (tmp_path / 'bom.json').write_bytes(b'\xef\xbb\xbf{}')
    options = {
        f'test_dataloader.dataset.{key}': str(tmp_path / 'bom.json')
        if value == 'BOM' else value
        for key, value in options.items()
    }
    with pytest.raises(ConfigError, match=message):
        open_loader(read_config(project.config, options), 'test')


def test_no_workers_none_that_persist(project):
    for workers in (0, 1):
        cfg = read_config(
            project.config, {
                'test_dataloader.num_workers': workers,
                'test_dataloader.persistent_workers': True
            })
        loader = open_loader(cfg, 'test')
        assert loader.num_workers == workers
        assert loader.persistent_workers == bool(workers)


def test_what_a_machine_lacks_is_no_warning(project):
    code = ('import mmcls_repmlp, warnings; '
            'warnings.simplefilter("always", append=True); '
            'from mmcls_repmlp.apis._shared.config import read_config; '
            'from mmcls_repmlp.apis._shared.data import open_loader; '
            f'cfg = read_config({str(project.config)!r}, '
            '{"test_dataloader.num_workers": 999, '
            '"test_dataloader.pin_memory": True}); '
            'from mmengine.registry import init_default_scope; '
            'init_default_scope(cfg.default_scope); '
            'loader = open_loader(cfg, "test"); '
            'assert loader.num_workers == 999')
    done = run_python('-c', code)
    assert done.returncode == 0, done.stderr
    assert 'DataLoader' not in done.stderr


def test_memory_is_pinned_for_a_gpu_alone(project, monkeypatch):
    for there, wanted in ((True, True), (False, False)):
        monkeypatch.setattr(
            torch.cuda, 'is_available', lambda there=there: there)
        cfg = read_config(project.config, {'test_dataloader.pin_memory': True})
        assert loader_config(cfg, 'test').pin_memory is wanted
