import hashlib
import shutil

import pytest
import torch
from mmengine.config import Config

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs import publish_model as module_under_test
from mmcls_repmlp.jobs.publish_model import publish_model
from repmlp_lite.errors import JobFailedError, UserError
from tests.helpers import load_model


@pytest.fixture
def publish(tmp_path, project):
    """Publish a file, the trained model, or what else is to be saved."""

    def run(dst='mini.pth', src=project.trained, **options):
        if isinstance(src, dict):
            torch.save(src, tmp_path / 'src.pth')
            src = tmp_path / 'src.pth'
        return publish_model(src, tmp_path / dst, **options)

    return run


def with_meta(meta):
    return dict(state_dict=dict(x=torch.ones(1)), meta=meta)


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_what_stays(publish, project, capsys, suffix):
    path = publish(f'new/mini.{suffix}')
    config = path.with_suffix('.py')
    output = capsys.readouterr()
    assert f'{path} (' in output.out and 'MiB, was ' in output.out
    assert f'{config} is its config' in output.out
    assert output.err == f'config {project.work_dir / project.config.name}\n'
    before, after = read_checkpoint(project.trained), read_checkpoint(path)
    assert {'optimizer', 'message_hub'} <= before.keys()
    assert after.keys() == {'meta', 'state_dict'}
    assert after['meta'].keys() == {
        'classes', 'dataset_meta', 'mmengine_version'
    }
    assert after['meta']['classes'] == list('0123456789')
    assert after['state_dict'].keys() == before['state_dict'].keys()
    for key, value in before['state_dict'].items():
        assert after['state_dict'][key].equal(value)
    assert path.stat().st_size < project.trained.stat().st_size / 2
    assert {*path.parent.iterdir()} == {path, config}
    load_model(config, path)


def test_the_config_is_for_the_form_that_is_published(publish, project,
                                                      tmp_path):
    # Beside it lies the config of the training form.
    shutil.copy(project.merged, tmp_path / 'merged.pth')
    shutil.copy(project.work_dir / 'quick.py', tmp_path / 'merged.py')
    path = publish(src=tmp_path / 'merged.pth')
    assert Config.fromfile(path.with_suffix('.py')).model.backbone.deploy
    load_model(path.with_suffix('.py'), path)


def test_torch_hub_can_check_the_name_and_an_old_hash_goes(publish):
    path = publish()
    digits = torch.hub.HASH_REGEX.search(path.name).group(1)
    assert len(digits) == 8 and path.name == f'mini-{digits}.pth'
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(digits)
    assert publish('more/mini-0123abcd.pth', path).name == path.name


def test_equal_contents_give_equal_files(publish, project):
    first = publish()
    # The same weights, laid out otherwise, as parts of something larger.
    content = read_checkpoint(project.trained)
    weights = content['state_dict']
    content['state_dict'] = {
        key: torch.nn.Parameter(torch.stack([value, value], -1)[..., 0])
        if value.is_floating_point() else value
        for key, value in weights.items()
    }
    # As mmengine's EMAHook saves them: averaged ones in state_dict.
    averaged = {f'module.{key}': value + 1 for key, value in weights.items()}
    content['ema_state_dict'] = {**averaged, 'steps': torch.tensor(3)}
    names = content['meta']['dataset_meta']['classes']
    content['meta'] |= dict(epoch=77, time='later', CLASSES=list(names))
    for i, other in enumerate((first, content, project.work_dir)):
        assert publish(f'{i}.pth', other).read_bytes() == first.read_bytes()


def test_which_texts_are_one_object_does_not_matter(publish):
    cat = 'a cat'
    one, two = (
        publish(
            src=with_meta(dict(dataset_meta=dict(classes=[cat], x=other))),
            force=True).read_bytes() for other in (cat, f'a {cat[2:]}'))
    assert one == two


@pytest.mark.parametrize('other', [False, True])
def test_bare_weights_without_a_config_of_theirs(publish, project, tmp_path,
                                                 capsys, other):
    if other:
        shutil.copy(project.work_dir / 'quick.py', tmp_path / 'src.py')
    path = publish(src=dict(a=torch.ones(2, 2), b=torch.tensor(3)))
    content = read_checkpoint(path)
    assert content['meta'] == {}
    assert content['state_dict']['a'].equal(torch.ones(2, 2))
    assert 'no config is written: none beside' in capsys.readouterr().out
    assert not path.with_suffix('.py').exists()


def test_files_are_replaced_only_by_force(publish):
    path = publish()
    for file in (path, path.with_suffix('.py')):
        path.unlink()
        file.write_text('precious')
        with pytest.raises(UserError, match=f'{file.name}.*exists.*force=T'):
            publish()
        assert file.read_text() == 'precious'
        publish(force=True)
        assert read_checkpoint(path)['state_dict']


def test_what_does_not_read_back_is_not_kept(publish, tmp_path, monkeypatch):
    write = module_under_test.write_checkpoint

    def damaged(content, path):
        weights = {**content['state_dict'], 'head.fc.bias': torch.zeros(10)}
        write({**content, 'state_dict': weights}, path)

    monkeypatch.setattr(module_under_test, 'write_checkpoint', damaged)
    with pytest.raises(JobFailedError, match='nothing was kept'):
        publish()
    assert not list(tmp_path.iterdir())


def test_wrong_arguments(publish, tmp_path):
    (tmp_path / 'file').write_text('')
    for dst, message in (('a.onnx', 'wrong suffix.*.pth or .pt or .safet'),
                         ('file/a.pth', 'not a folder that you may write')):
        with pytest.raises(UserError, match=message):
            publish(dst)
    assert [p.name for p in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize(
    'meta', ['text', dict(cfg='1', mmengine_version=dict(a=1))])
def test_odd_meta_is_left_out(publish, meta):
    assert read_checkpoint(publish(src=with_meta(meta)))['meta'] == {}
