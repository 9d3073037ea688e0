import functools

import pytest
import torch

from mmcls_repmlp.checkpoints import convert_to_official, read_checkpoint
from mmcls_repmlp.checkpoints.official import NAMES, RESNET_NAMES
from mmcls_repmlp.host.model_index import config_of, indexed_models
from mmcls_repmlp.jobs.repmlp_to_mmcls import published
from mmcls_repmlp.jobs.repmlp_to_mmcls import repmlp_to_mmcls as official
from mmcls_repmlp.jobs.repmlp_to_mmcls.published import published_models
from mmcls_repmlp.jobs.repmlp_to_mmcls.repmlp_to_mmcls import (
    convert_from_official, convert_to_official_file)
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_model
from repmlp_lite.errors import CheckpointError, UserError
from tests.helpers import DATA, ROOT, assert_same, load_model

# Names of their configs; of RepMLPNets, what they are called otherwise.
PUBLISHED = {
    'tiny_8xb32_in1k': 'T224',
    'tiny_8xb32_in1k-256px': 'T256',
    'base_8xb32_in1k': 'B224',
    'base_8xb32_in1k-256px': 'B256',
    'deep_8xb32_in1k-256px': 'D256',
    'large_8xb32_in1k-256px': 'L256',
    'resnet50-light-g4_8xb32_in1k': None,
    'resnet50-light-g8_8xb32_in1k': None,
    'resnet50-bottleneck-g8_8xb32_in1k': None
}


class Foreign:
    """What a full trainer checkpoint pickles beside its weights."""


def oracle(name='square'):
    return torch.load(DATA / f'repmlpnet_{name}.pt', weights_only=True)


def equal(a, b):
    return list(a) == list(b) and all(
        torch.equal(a[key], b[key]) and a[key].dtype == b[key].dtype
        for key in a)


published_once = functools.cache(lambda *kind: [*published_models(*kind)])


@pytest.fixture(autouse=True)
def _published_once(monkeypatch):
    """Build the published models once for all tests of this file."""
    for module in (official, published):
        monkeypatch.setattr(module, 'published_models', published_once)


@pytest.fixture
def paths(tmp_path):
    """Paths of an official file, which is there, of ours, and of one back."""
    torch.save(oracle()['state_dict'], tmp_path / 'official.pth')
    return [
        tmp_path / name for name in ('official.pth', 'ours.pth', 'back.pth')
    ]


@pytest.fixture
def refused(paths):
    """Convert what cannot be; give the reason."""

    def run(content=None, **options):
        if content is not None:
            torch.save(content, paths[0])
        with pytest.raises(CheckpointError) as error:
            convert_from_official(*paths[:2], **options)
        assert not paths[1].exists()
        return str(error.value)

    return run


def empty_weights(name, deploy=False):
    """A config of the zoo, its model's weights in full size, and no memory."""
    entry = next(m for m in indexed_models() if m.name == f'repmlp-{name}')
    config = config_of(entry, deploy)
    with torch.device('meta'):
        shapes = build_model(read_config(config)).state_dict()
    return config, {
        key: torch.zeros((), dtype=value.dtype).expand(value.shape)
        for key, value in shapes.items()
    }


@pytest.fixture
def convert(monkeypatch, tmp_path):
    """Convert weights that are in no file; give what was found and written."""

    def run(content, job=convert_from_official, **options):
        written = []
        monkeypatch.setattr(official, 'read_checkpoint', lambda path: content)
        monkeypatch.setattr(official, 'write_checkpoint',
                            lambda content, *_: written.append(content))
        return job('a.pth', tmp_path / 'b.pth', **options), *written

    return run


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
    kept = oracle()
    found = convert_from_official(*paths[:2])
    said = capsys.readouterr().out
    assert 'this is custom 32, training form' in said
    assert 'next: no config here is for this model' in said
    (tmp_path / 'config.py').write_text(f'model = {found.model}')
    model = load_model(tmp_path / 'config.py', paths[1]).double()
    assert_same(model(kept['input'].double()), kept['output'], 1e-10)


def test_the_key_takes_the_averaged_weights(paths, refused):
    weights = oracle()['state_dict']
    averaged = {key: value + 1 for key, value in weights.items()}
    message = refused(dict(model=weights, ema=averaged))
    assert 'choose one with option `key=' in message
    assert 'closest' not in message
    convert_from_official(*paths[:2], key='ema')
    convert_to_official_file(*paths[1:])
    assert equal(read_checkpoint(paths[2]), averaged)


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(('name', 'model'), PUBLISHED.items())
def test_all_published_models_are_recognized(convert, tmp_path, capsys, name,
                                             model, deploy):
    config, weights = empty_weights(name, deploy)
    theirs = convert_to_official(weights, NAMES if model else RESNET_NAMES)
    found, written = convert(theirs, arch=model[0] if model else None)
    assert found.name == written['meta']['model'] == (
        model or f'repmlp-{name}')
    ours = written['state_dict']
    assert ours.keys() == weights.keys()
    said = capsys.readouterr().out
    relative = f'configs/repmlp/{config.name}'
    assert f'{relative} {tmp_path / "b.pth"} --metrics accuracy' in said
    assert (ROOT / relative).exists()
    _, back = convert(ours, convert_to_official_file)
    assert equal(back, theirs)


def damaged(**changes):
    return {**oracle()['state_dict'], **changes}


@pytest.mark.parametrize(('content', 'options', 'words'), [
    (dict(model=damaged(), config=Foreign()), {},
     ['was not loaded', "save its weights alone, such as its entry 'model'"]),
    ({
        'conv1.weight': torch.ones(1)
    }, {}, [
        "'conv1.weight' is no parameter of the official",
        "none of its names is the official model's"
    ]),
    (damaged(**{'head_norm.bias': torch.ones(3)}), {},
     ['backbone.final_norm.bias (model (64,), checkpoint (3,))']),
    ({
        'stage0.conv.weight': torch.ones(1)
    }, {}, [
        'no official RepMLPResNet: no config here has these ',
        'closest is repmlp-'
    ]),
    (None, dict(arch='b'), ["is custom 32, not arch 'b'"]),
])
def test_what_is_no_official_model(refused, content, options, words):
    message = refused(content, **options)
    assert all(some in message for some in words)


def test_the_closest_model_is_named(refused):
    name = 'tiny_8xb32_in1k'
    _, weights = empty_weights(name)
    content = {
        key: torch.zeros(()).expand(value.shape)
        for key, value in convert_to_official(weights).items()
    }
    content.pop('stages.1.1.repmlp_block.fc3_bn.bias')
    message = refused({**content, 'extra': torch.ones(1)})
    assert "'extra' is no parameter" in message
    assert f'closest is repmlp-{name}, which differs in 2 of' in message
    assert '1 missing: backbone.stages.1.1.repmlp_block.fc3_bn.bias' in message


def test_our_own_names_need_no_conversion(paths, refused):
    convert_from_official(*paths[:2])
    ours = read_checkpoint(paths[1])
    paths[1].unlink()
    assert 'has the names of OpenMMLab already' in refused(ours)


@pytest.mark.parametrize('convert',
                         [convert_from_official, convert_to_official_file])
def test_nothing_is_overwritten_and_the_source_never(paths, convert):
    before = paths[0].read_bytes()
    paths[1].write_text('mine')
    with pytest.raises(UserError, match='exists'):
        convert(*paths[:2])
    assert paths[1].read_text() == 'mine'
    with pytest.raises(UserError, match='the very file that is read'):
        convert(paths[0], paths[0], force=True)
    assert paths[0].read_bytes() == before
    convert_from_official(*paths[:2], force=True)


def test_the_way_back_refuses_what_has_no_official_name(paths):
    torch.save({'head.layers.0.weight': torch.ones(1)}, paths[0])
    with pytest.raises(
            CheckpointError,
            match="'head.layers.0.weight' is no "
            'parameter of the OpenMMLab'):
        convert_to_official_file(*paths[:2])
    assert not paths[1].exists()
