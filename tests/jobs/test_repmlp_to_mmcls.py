import functools

import pytest
import torch

from mmcls_repmlp.checkpoints import convert_to_official, read_checkpoint
from mmcls_repmlp.checkpoints.official import REPMLP_RESNET, REPMLPNET
from mmcls_repmlp.jobs import repmlp_to_mmcls as module_under_test
from mmcls_repmlp.jobs.repmlp_to_mmcls import (convert_from_official,
                                               convert_to_official_file,
                                               published_models)
from mmcls_repmlp.models import ARCH_ZOO
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
    """Paths of an official file, which is there, of ours, and of one back."""
    torch.save(oracle()['state_dict'], tmp_path / 'official.pth')
    return [
        tmp_path / name for name in ('official.pth', 'ours.pth', 'back.pth')
    ]


@pytest.fixture
def refused(paths):
    """Convert what cannot be; give the reason."""

    def run(content, **options):
        torch.save(content, paths[0])
        with pytest.raises(CheckpointError) as error:
            convert_from_official(*paths[:2], **options)
        assert not paths[1].exists()
        return str(error.value)

    return run


def empty_weights(name, deploy=False):
    """The weights of a published model, in full size, and no memory."""
    kind = 'RepMLPResNet' if 'resnet' in name else 'RepMLPNet'
    model = next(
        model for model in published_once(kind, deploy)
        if model.name == f'repmlp-{name}')
    return {
        key: torch.zeros((), dtype=value.dtype).expand(value.shape)
        for key, value in model.weights.items()
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
    output = capsys.readouterr().out
    assert 'this is custom 32, training form' in output
    assert 'next: no config here is for this model' in output
    (tmp_path / 'config.py').write_text(f'model = {found.model}')
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


def test_only_models_of_an_arch_are_built():
    large, = published_models('RepMLPNet', True, ARCH_ZOO['l'])
    assert large.name == 'repmlp-large_8xb32_in1k-256px'
    assert all(value.is_meta for value in large.weights.values())


@pytest.mark.parametrize(('name', 'words'), [
    ('conv1.weight', "'conv1.weight' is not a parameter of the official"),
    ('conv1.weight', 'no published model is close to it'),
    ('stage0.conv.weight',
     'no official RepMLPResNet: no config here has these '),
    ('head.fc.bias', 'has the names of OpenMMLab already'),
])
def test_what_is_no_official_model(refused, name, words):
    assert words in refused({name: torch.ones(1)})


def test_another_model_than_was_asked_for(refused):
    weights = oracle()['state_dict']
    assert "is custom 32, not arch 'b'" in refused(weights, arch='b')
    weights['head_norm.bias'] = torch.ones(3)
    assert ('backbone.final_norm.bias (model (64,), checkpoint (3,))'
            in refused(weights))


@pytest.mark.parametrize('share', [0.45, 0.55])
def test_the_closest_model_is_named_if_one_is_close(refused, share):
    content = {
        key: torch.zeros(()).expand(value.shape)
        for key, value in convert_to_official(
            empty_weights('tiny_8xb32_in1k')).items()
    }
    content.pop('stages.1.1.repmlp_block.fc3_bn.bias')
    for key in [*content][:round(share * len(content))]:
        content[key] = torch.ones(1, 2, 3)
    message = refused({**content, 'extra': torch.ones(1)})
    assert "'extra' is not a parameter" in message
    if share > 0.5:
        assert 'no published model is close to it' in message
    else:
        assert 'closest is repmlp-tiny_8xb32_in1k, which differs' in message
        assert '1 missing: backbone.stages.1.1.repmlp_block.fc3_bn' in message


@pytest.mark.parametrize('convert',
                         [convert_from_official, convert_to_official_file])
def test_nothing_is_overwritten_and_the_source_never(paths, convert):
    paths[1].write_text('mine')
    with pytest.raises(UserError, match='exists'):
        convert(*paths[:2])
    assert paths[1].read_text() == 'mine'
    with pytest.raises(UserError, match='the very file that is read'):
        convert(paths[0], paths[0], force=True)
