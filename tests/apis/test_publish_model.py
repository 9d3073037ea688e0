import hashlib

import pytest
import torch

from mmcls_repmlp.apis import publish_model as module_under_test
from mmcls_repmlp.apis._shared.model import load_model
from mmcls_repmlp.apis.publish_model import publish_model
from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.errors import JobFailedError, UserError


def publish(src, dst, **kwargs):
    return publish_model(src, dst, report=lambda line: None, **kwargs)


def test_what_stays(project, tmp_path):
    lines = []
    path = publish_model(
        project.trained, tmp_path / 'new' / 'mini.pth', report=lines.append)
    assert lines[0].startswith(f'{path} (') and 'MiB, was ' in lines[0]
    before, after = read_checkpoint(project.trained), read_checkpoint(path)
    assert {'optimizer', 'message_hub'} <= before.keys()
    assert after.keys() == {'meta', 'state_dict'}
    assert after['meta'].keys() == {
        'cfg', 'classes', 'dataset_meta', 'mmengine_version'
    }
    assert after['meta']['cfg'] == before['meta']['cfg']
    assert after['meta']['classes'] == tuple('0123456789')
    assert after['state_dict'].keys() == before['state_dict'].keys()
    for key, value in before['state_dict'].items():
        assert after['state_dict'][key].equal(value)
    assert path.stat().st_size < project.trained.stat().st_size / 2
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    load_model(project.config, path)


def test_torch_hub_can_check_the_name(project, tmp_path):
    path = publish(project.trained, tmp_path / 'mini.pth')
    digits = torch.hub.HASH_REGEX.search(path.name).group(1)
    assert len(digits) == 8 and path.name == f'mini-{digits}.pth'
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(digits)


def test_equal_contents_give_equal_files(project, tmp_path):
    first = publish(project.trained, tmp_path / 'mini.pth')
    again = publish(first, tmp_path / 'again.pth')
    assert again.read_bytes() == first.read_bytes()
    # The same weights, laid out otherwise, as parts of something larger.
    content = read_checkpoint(project.trained)
    content['state_dict'] = {
        key: torch.nn.Parameter(torch.stack([value, value], -1)[..., 0])
        if value.is_floating_point() else value
        for key, value in content['state_dict'].items()
    }
    names = content['meta']['dataset_meta']['classes']
    content['meta'] |= dict(epoch=77, time='later', CLASSES=list(names))
    torch.save(content, tmp_path / 'other.pth')
    other = publish(tmp_path / 'other.pth', tmp_path / 'third.pth')
    assert other.read_bytes() == first.read_bytes()


def test_which_texts_are_one_object_does_not_matter(tmp_path):
    cat = 'a cat'
    for name, other in (('a.pth', cat), ('b.pth', ''.join(['a', ' cat']))):
        meta = dict(dataset_meta=dict(classes=[cat], first=other))
        torch.save(
            dict(state_dict=dict(x=torch.ones(1)), meta=meta), tmp_path / name)
    one, two = (
        publish(tmp_path / f'{name}.pth', tmp_path / f'new_{name}.pth')
        for name in 'ab')
    assert one.read_bytes() == two.read_bytes()


def test_a_work_dir_stands_for_its_newest_checkpoint(project, tmp_path):
    one, two = (publish(src, tmp_path / f'{i}.pth')
                for i, src in enumerate((project.work_dir, project.trained)))
    assert one.read_bytes() == two.read_bytes()


def test_averaged_weights_are_the_ones_that_stay(project, tmp_path):
    # As mmengine's EMAHook saves them: averaged ones in state_dict.
    content = read_checkpoint(project.trained)
    content['ema_state_dict'] = {
        f'module.{key}': value + 1
        for key, value in content['state_dict'].items()
    }
    content['ema_state_dict']['steps'] = torch.tensor(3)
    torch.save(content, tmp_path / 'ema.pth')
    assert publish(tmp_path / 'ema.pth', tmp_path / 'a.pth').read_bytes() == (
        publish(project.trained, tmp_path / 'b.pth').read_bytes())


def test_an_old_hash_is_replaced(project, tmp_path):
    first = publish(project.trained, tmp_path / 'mini.pth')
    again = publish(first, tmp_path / 'more' / 'mini-0123abcd.pth')
    assert again.name == first.name


def test_bare_weights(tmp_path):
    torch.save(dict(a=torch.ones(2, 2), b=torch.tensor(3)), tmp_path / 'a.pth')
    content = read_checkpoint(publish(tmp_path / 'a.pth', tmp_path / 'b.pth'))
    assert content['meta'] == {}
    assert content['state_dict']['a'].equal(torch.ones(2, 2))


def test_files_are_replaced_only_by_force(project, tmp_path):
    path = publish(project.trained, tmp_path / 'mini.pth')
    path.write_text('precious')
    with pytest.raises(UserError, match=f'{path.name}.*exists.*force=True'):
        publish(project.trained, tmp_path / 'mini.pth')
    assert path.read_text() == 'precious'
    publish(project.trained, tmp_path / 'mini.pth', force=True)
    assert read_checkpoint(path)['state_dict']


def test_what_does_not_read_back_is_not_kept(project, tmp_path, monkeypatch):
    write = module_under_test.write_checkpoint

    def damaged(content, path):
        weights = {**content['state_dict'], 'head.fc.bias': torch.zeros(10)}
        write({**content, 'state_dict': weights}, path)

    monkeypatch.setattr(module_under_test, 'write_checkpoint', damaged)
    with pytest.raises(JobFailedError, match='nothing was kept'):
        publish(project.trained, tmp_path / 'mini.pth')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('src', 'dst', 'message'),
    [('no.pth', 'a.pth', "'no.pth' does not exist"),
     (None, 'a.onnx', 'wrong suffix.*.pth or .pt'),
     (None, 'file/a.pth', 'no folder that you may write to'),
     ('config', 'a.pth', 'is a config and no checkpoint')])
def test_wrong_arguments(project, tmp_path, src, dst, message):
    (tmp_path / 'file').write_text('')
    src = {None: project.trained, 'config': project.config}.get(src, src)
    with pytest.raises(UserError, match=message):
        publish(src, tmp_path / dst)
    assert [p.name for p in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize('meta', [
    dict(classes=3),
    dict(classes={'a': 1}),
    dict(classes=[['a'], 'b']),
    dict(dataset_meta='text'),
    dict(dataset_meta=dict(classes=None)), 'text',
    dict(cfg=[1], mmengine_version=dict(a=1))
])
def test_odd_meta_is_left_out(tmp_path, meta):
    torch.save(
        dict(state_dict=dict(x=torch.ones(1)), meta=meta), tmp_path / 'a.pth')
    path = publish(tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert read_checkpoint(path)['meta'] == {}


def shared(depth):
    parts = 'x'
    for _ in range(depth):
        parts = [parts] * 10
    return parts


def nested(depth):
    parts = 'x'
    for _ in range(depth):
        parts = [parts]
    return parts


@pytest.mark.parametrize('more', [shared(8), nested(100)])
def test_a_small_meta_that_would_never_end_is_refused(tmp_path, more):
    meta = dict(dataset_meta=dict(classes=['a'], more=more))
    torch.save(
        dict(state_dict=dict(x=torch.ones(1)), meta=meta), tmp_path / 'a.pth')
    with pytest.raises(UserError, match='leave its dataset_meta out'):
        publish(tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert [path.name for path in tmp_path.iterdir()] == ['a.pth']


def test_weights_that_diverged_are_not_published(tmp_path):
    torch.save(dict(x=torch.tensor([float('nan')])), tmp_path / 'a.pth')
    with pytest.raises(UserError, match="its entry 'x' has infinite or un"):
        publish(tmp_path / 'a.pth', tmp_path / 'b.pth')
