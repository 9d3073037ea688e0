import pytest
import torch

from mmcls_repmlp.apis import repmlp_to_mmcls as official
from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.apis._shared.model import build_model, load_model
from mmcls_repmlp.apis.repmlp_to_mmcls import (convert_from_official,
                                               convert_to_official_file)
from mmcls_repmlp.checkpoints import convert_to_official, read_checkpoint
from mmcls_repmlp.checkpoints.official import RESNET_NAMES
from mmcls_repmlp.errors import CheckpointError, UserError
from mmcls_repmlp.plugin.model_index import config_of, indexed_models
from tests.helpers import DATA, ROOT, assert_same

SIX = dict(
    T224='tiny_8xb32_in1k',
    T256='tiny_8xb32_in1k-256px',
    B224='base_8xb32_in1k',
    B256='base_8xb32_in1k-256px',
    D256='deep_8xb32_in1k-256px',
    L256='large_8xb32_in1k-256px')


class Foreign:
    """What a full trainer checkpoint pickles beside its weights."""


def oracle(name='square'):
    return torch.load(DATA / f'repmlpnet_{name}.pt', weights_only=True)


def equal(a, b):
    return list(a) == list(b) and all(
        torch.equal(a[key], b[key]) and a[key].dtype == b[key].dtype
        for key in a)


@pytest.fixture
def paths(tmp_path):
    return [
        tmp_path / name for name in ('official.pth', 'ours.pth', 'back.pth')
    ]


@pytest.mark.parametrize(('name', 'size'), [('square', None),
                                            ('rectangular', (32, 16))])
def test_there_and_back_is_equal_tensor_by_tensor(paths, name, size):
    source, ours, back = paths
    weights = oracle(name)['state_dict']
    torch.save(dict(model=weights, epoch=3), source)
    convert_from_official(source, ours, img_size=size)
    convert_to_official_file(ours, back)
    assert equal(read_checkpoint(back), weights)


def test_the_converted_model_computes_what_the_official_one_does(
        paths, tmp_path, capsys):
    source, ours, _ = paths
    kept = oracle()
    torch.save(kept['state_dict'], source)
    found = convert_from_official(source, ours)
    assert 'this is custom 32, training form' in capsys.readouterr().out
    (tmp_path / 'config.py').write_text(f'model = {found.model}')
    model = load_model(tmp_path / 'config.py', ours).double()
    assert_same(model(kept['input'].double()), kept['output'], 1e-10)


def test_the_key_takes_the_averaged_weights(paths):
    source, ours, back = paths
    weights = oracle()['state_dict']
    averaged = {key: value + 1 for key, value in weights.items()}
    torch.save(dict(model=weights, ema=averaged), source)
    message = refused(source)
    assert 'choose one with option `key=' in message
    assert 'closest' not in message
    convert_from_official(source, ours, key='ema')
    convert_to_official_file(ours, back)
    assert equal(read_checkpoint(back), averaged)


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(('model', 'name'), SIX.items())
def test_all_six_models_are_recognized(monkeypatch, tmp_path, capsys, model,
                                       name, deploy):
    # Of full size, but without memory: every weight is one number, expanded.
    entry = next(m for m in indexed_models() if m.name == f'repmlp-{name}')
    config = config_of(entry, deploy)
    with torch.device('meta'):
        expected = build_model(read_config(config)).state_dict()
    weights = convert_to_official({
        key: torch.zeros((), dtype=value.dtype).expand(value.shape)
        for key, value in expected.items()
    })
    monkeypatch.setattr(official, 'read_checkpoint',
                        lambda path: dict(model=weights))
    written = {}
    monkeypatch.setattr(official, 'write_checkpoint',
                        lambda content, *_: written.update(content))
    found = convert_from_official('a.pth', tmp_path / 'b.pth', arch=model[0])
    assert found.name == model
    assert written['state_dict'].keys() == expected.keys()
    assert written['meta']['model'] == model
    said = capsys.readouterr().out
    relative = f'configs/repmlp/{config.name}'
    assert f'{relative} {tmp_path / "b.pth"} --metrics accuracy' in said
    assert (ROOT / relative).exists()


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize('kind', ['light-g4', 'light-g8', 'bottleneck-g8'])
def test_resnets_of_the_first_paper(monkeypatch, tmp_path, capsys, kind,
                                    deploy):
    name = f'repmlp-resnet50-{kind}_8xb32_in1k'
    entry = next(m for m in indexed_models() if m.name == name)
    config = config_of(entry, deploy)
    with torch.device('meta'):
        expected = build_model(read_config(config)).state_dict()
    weights = convert_to_official(
        {
            key: torch.zeros((), dtype=value.dtype).expand(value.shape)
            for key, value in expected.items()
        }, RESNET_NAMES)
    assert 'linear.weight' in weights
    monkeypatch.setattr(official, 'read_checkpoint', lambda path: weights)
    written = []
    monkeypatch.setattr(official, 'write_checkpoint',
                        lambda content, *_: written.append(content))
    convert_from_official('a.pth', tmp_path / 'b.pth')
    ours = written[0]['state_dict']
    assert ours.keys() == expected.keys()
    assert f'configs/repmlp/{config.name}' in capsys.readouterr().out
    monkeypatch.setattr(official, 'read_checkpoint', lambda path: ours)
    convert_to_official_file('b.pth', tmp_path / 'c.pth')
    assert equal(written[1], weights)


def test_the_closest_resnet_is_named(monkeypatch, tmp_path):
    weights = {'stage0.conv.weight': torch.ones(1)}
    monkeypatch.setattr(official, 'read_checkpoint', lambda path: weights)
    with pytest.raises(
            CheckpointError,
            match='no official RepMLPResNet: no '
            'config here has these .* closest is repmlp-'):
        convert_from_official('a.pth', tmp_path / 'b.pth')


def refused(source, **options):
    with pytest.raises(CheckpointError) as error:
        convert_from_official(source, source.with_name('b.pth'), **options)
    assert not source.with_name('b.pth').exists()
    return str(error.value)


def test_foreign_objects_are_refused_with_the_way_out(paths):
    torch.save(dict(model=oracle()['state_dict'], config=Foreign()), paths[0])
    message = refused(paths[0])
    assert 'was not loaded' in message
    assert "save its weights alone, such as its entry 'model'" in message


def test_what_is_no_repmlpnet(paths):
    torch.save({'conv1.weight': torch.ones(1)}, paths[0])
    message = refused(paths[0])
    assert "'conv1.weight' is no parameter of the official" in message
    assert "none of its names is the official model's" in message


def test_the_closest_model_is_named(paths):
    entry = next(m for m in indexed_models() if 'tiny' in m.name)
    with torch.device('meta'):
        model = build_model(read_config(config_of(entry)))
    weights = {
        key: torch.zeros(1).expand(value.shape)
        if value.dim() else torch.zeros(())
        for key, value in convert_to_official(model.state_dict()).items()
    }
    weights.pop('stages.1.1.repmlp_block.fc3_bn.bias')
    weights['extra'] = torch.ones(1)
    torch.save(weights, paths[0])
    message = refused(paths[0])
    assert "'extra' is no parameter" in message
    assert f'closest is {entry.name}, which differs in 2 of' in message
    assert '1 missing: backbone.stages.1.1.repmlp_block.fc3_bn.bias' in message


def test_a_damaged_shape_is_named(paths):
    weights = oracle()['state_dict']
    weights['head_norm.bias'] = torch.ones(3)
    torch.save(weights, paths[0])
    message = refused(paths[0])
    assert 'backbone.final_norm.bias (model (64,), checkpoint (3,))' in message


def test_another_arch_than_asked_for(paths):
    torch.save(oracle()['state_dict'], paths[0])
    assert "is custom 32, not arch 'b'" in refused(paths[0], arch='b')


def test_our_own_names_need_no_conversion(paths):
    source, ours, _ = paths
    torch.save(oracle()['state_dict'], source)
    convert_from_official(source, ours)
    assert 'has the names of OpenMMLab already' in refused(ours)


def test_nothing_is_overwritten(paths):
    torch.save(oracle()['state_dict'], paths[0])
    paths[1].write_text('mine')
    for convert in (convert_from_official, convert_to_official_file):
        with pytest.raises(UserError, match='exists'):
            convert(paths[0], paths[1])
    assert paths[1].read_text() == 'mine'
    convert_from_official(paths[0], paths[1], force=True)


def test_the_way_back_refuses_what_has_no_official_name(paths):
    torch.save(
        dict(state_dict={'head.layers.0.weight': torch.ones(1)}), paths[0])
    with pytest.raises(
            CheckpointError,
            match="'head.layers.0.weight' is no "
            'parameter of the OpenMMLab'):
        convert_to_official_file(paths[0], paths[1])
    assert not paths[1].exists()


@pytest.mark.parametrize('convert',
                         [convert_from_official, convert_to_official_file])
def test_a_file_is_never_replaced_by_what_is_made_of_it(paths, convert):
    torch.save(oracle()['state_dict'], paths[0])
    before = paths[0].read_bytes()
    with pytest.raises(UserError, match='the very file that is read'):
        convert(paths[0], paths[0], force=True)
    assert paths[0].read_bytes() == before


def test_weights_that_diverged_are_not_converted(paths):
    weights = oracle()['state_dict']
    weights['head.bias'][0] = float('inf')
    torch.save(weights, paths[0])
    assert "its entry 'head.bias' has infinite" in refused(paths[0])
