import functools

import pytest
import torch

from mmcls_repmlp.checkpoints import convert_to_official, read_checkpoint
from mmcls_repmlp.checkpoints.official import (REPMLP_RESNET, REPMLPNET,
                                               RESMLP_DEIT, RESMLP_TIMM)
from mmcls_repmlp.jobs import repmlp_to_mmcls as module_under_test
from mmcls_repmlp.jobs.repmlp_to_mmcls import (convert_from_official,
                                               convert_to_official_file,
                                               published_models)
from repmlp_lite.errors import CheckpointError, UserError
from tests.helpers import DATA, ROOT, assert_same, load_model

# Names of their configs; of RepMLPNets, what they are called otherwise.
PUBLISHED = {
    'tiny_8xb32_in1k': 'T224',
    'base_8xb32_in1k-256px': 'B256',
    'deep_8xb32_in1k-256px': 'D256',
    'large_8xb32_in1k-256px': 'L256',
    'resnet50-light-g4_8xb32_in1k': None,
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
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(module_under_test, 'published_models',
                        lambda *kind: published_once(*kind[:2]))


@pytest.fixture
def paths(tmp_path):
    """Paths of an official file, which is there, and of ours."""
    torch.save(oracle()['state_dict'], tmp_path / 'official.pth')
    return tmp_path / 'official.pth', tmp_path / 'ours.pth'


def reason(paths, content, **options):
    """Convert what cannot be; give the reason."""
    if content is not None:
        torch.save(content, paths[0])
    with pytest.raises(CheckpointError) as error:
        convert_from_official(*paths, **options)
    assert not paths[1].exists()
    return str(error.value)


def empty_weights(name, deploy=False):
    """The weights of a published model, in full size, and no memory."""
    kind = next((kind for sign, kind in (('resnet', 'RepMLPResNet'),
                                         ('resmlp', 'ResMLP'))
                 if sign in name), 'RepMLPNet')  # yapf: disable
    model = next(
        model for model in published_once(kind, deploy)
        if model[0] in (name, f'repmlp-{name}'))
    return {
        key: torch.zeros((), dtype=value.dtype).expand(value.shape)
        for key, value in model[-1].items()
    }


@pytest.fixture
def convert(monkeypatch, tmp_path):
    """Convert weights that are in no file; give what was found and written."""

    def run(content, job=convert_from_official, **options):
        written = []
        monkeypatch.setattr(module_under_test, 'read_checkpoint',
                            lambda path: content)
        monkeypatch.setattr(module_under_test, 'write_checkpoint',
                            lambda content, *_: written.append(content))
        return job('a.pth', tmp_path / 'b.pth', **options), *written

    return run


def test_there_and_back_is_equal_tensor_by_tensor(paths):
    source, ours = paths
    weights = oracle('rectangular')['state_dict']
    torch.save(dict(model=weights, epoch=3), source)
    convert_from_official(source, ours, img_size=(32, 16))
    convert_to_official_file(ours, source.with_name('back.pth'))
    assert equal(read_checkpoint(source.with_name('back.pth')), weights)


def test_the_converted_model_computes_what_the_official_one_does(
        paths, tmp_path, capsys):
    kept = oracle()
    found = convert_from_official(*paths)
    output = capsys.readouterr().out
    assert 'this is custom 32, training form' in output
    assert 'next: no config here is for this model' in output
    (tmp_path / 'config.py').write_text(f'model = {found.classifier}')
    model = load_model(tmp_path / 'config.py', paths[1]).double()
    assert_same(model(kept['input'].double()), kept['output'], 1e-10)


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(('name', 'model'), PUBLISHED.items())
def test_all_published_models_are_recognized(convert, tmp_path, capsys, name,
                                             model, deploy):
    weights = empty_weights(name, deploy)
    theirs = convert_to_official(weights,
                                 REPMLPNET if model else REPMLP_RESNET)
    found, written = convert(theirs, arch=model[0] if model else None)
    assert found.name == written['meta']['model'] == (
        model or f'repmlp-{name}')
    ours = written['state_dict']
    assert ours.keys() == weights.keys()
    family, rest = f'repmlp-{name}.py'.split('_', 1)
    config = f'configs/repmlp/{family}{"_deploy" * deploy}_{rest}'
    output = capsys.readouterr().out
    assert f'{config} {tmp_path / "b.pth"} --metrics accuracy' in output
    assert (ROOT / config).exists()
    _, back = convert(ours, convert_to_official_file)
    assert equal(back, theirs)


@pytest.mark.parametrize(
    'table', [RESMLP_TIMM, RESMLP_DEIT], ids=['timm', 'deit'])
@pytest.mark.parametrize('arch', ['s12', 'b24'])
def test_a_resmlp_comes_from_timm_or_its_authors(convert, capsys, arch, table):
    weights = empty_weights(f'resmlp-{arch}_8xb128_in1k')
    found, written = convert(convert_to_official(weights, table), arch=arch)
    assert found.name == f'ResMLP-{arch.upper()} 224'
    assert {
        key: value.shape
        for key, value in written['state_dict'].items()
    } == {
        key: value.shape
        for key, value in weights.items()
    }
    output = capsys.readouterr().out
    for config in (f'resmlp-{arch}_8xb128_in1k.py',
                   f'resmlp-{arch}-local_deploy_8xb128_in1k.py'):
        assert f'configs/repmlp/{config}' in output
    _, back = convert(written['state_dict'], convert_to_official_file)
    assert back.keys() == convert_to_official(weights, RESMLP_TIMM).keys()
    with pytest.raises(CheckpointError, match="not arch 't': check the file"):
        convert(back, arch='t')


def damaged(**changes):
    return {**oracle()['state_dict'], **changes}


@pytest.mark.parametrize(('content', 'options', 'words'), [
    (dict(model=damaged(), config=Foreign()), {},
     ['was not loaded', "save its weights alone, such as its entry 'model'"]),
    (damaged(**{'head_norm.bias': torch.ones(3)}), {},
     ['backbone.final_norm.bias (model (64,), checkpoint (3,))']),
    (dict.fromkeys(['stage0.conv.weight'], torch.ones(1)), {},
     ['no official RepMLPResNet: no config here has these ']),
    (None, dict(arch='b'), ["is custom 32, not arch 'b'"]),
    (dict.fromkeys(['head.fc.bias'],
                   torch.ones(1)), {}, ['has the names of OpenMMLab already']),
])
def test_what_is_no_official_model(paths, content, options, words):
    message = reason(paths, content, **options)
    assert all(word in message for word in words)


@pytest.mark.parametrize(('share', 'words'), [
    (0, 'closest is repmlp-tiny_8xb32_in1k, which differs in 2 of'),
    (0.45, 'closest is repmlp-tiny_8xb32_in1k, which differs in'),
    (0.55, 'no published model is close to it'),
])
def test_the_closest_model_is_named_if_one_is_close(paths, share, words):
    content = convert_to_official(empty_weights('tiny_8xb32_in1k'))
    content.pop('stages.1.1.repmlp_block.fc3_bn.bias')
    for key in [*content][:round(share * len(content))]:
        content[key] = torch.ones(1, 2, 3)
    message = reason(paths, {**content, 'extra': torch.ones(1)})
    assert "'extra' is not a parameter" in message
    assert words in message
    missing = '1 missing: backbone.stages.1.1.repmlp_block.fc3_bn.bias'
    assert (missing in message) is (share < 0.5)


def test_nothing_is_overwritten_and_the_source_never(paths):
    before = paths[0].read_bytes()
    paths[1].write_text('mine')
    for convert in (convert_from_official, convert_to_official_file):
        with pytest.raises(UserError, match='exists'):
            convert(*paths)
        with pytest.raises(UserError, match='is also the file to read'):
            convert(paths[0], paths[0], force=True)
    assert paths[0].read_bytes() == before
    assert paths[1].read_text() == 'mine'
    convert_from_official(*paths, force=True)


def test_the_way_back_refuses_what_has_no_official_name(paths):
    torch.save({'head.layers.0.weight': torch.ones(1)}, paths[0])
    message = "'head.layers.0.weight' is not a parameter of the OpenMMLab"
    with pytest.raises(CheckpointError, match=message):
        convert_to_official_file(*paths)
    assert not paths[1].exists()
