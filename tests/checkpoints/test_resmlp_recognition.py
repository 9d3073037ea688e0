import pytest
import torch

from mmcls_repmlp.checkpoints import recognize_resmlp
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models.resmlp.resmlp import ARCHS
from repmlp_lite.errors import CheckpointError
from tests.helpers import classifier_cfg

SMALL = dict(
    type='ResMLP',
    arch=dict(channels=12, depth=3),
    img_size=(24, 40),
    patch_size=(8, 4),
    in_channels=1)


def weights_of(backbone, classes=5):
    channels = backbone['arch']['channels'] if isinstance(
        backbone['arch'], dict) else ARCHS[backbone['arch']].channels
    with torch.device('meta'):
        return MODELS.build(classifier_cfg(backbone, classes,
                                           channels)).state_dict()


@pytest.mark.parametrize('arch', ARCHS)
def test_published_ones_are_named(arch):
    found = recognize_resmlp(weights_of(dict(type='ResMLP', arch=arch)))
    assert found.name == f'ResMLP-{arch.upper()} 224'
    assert found.arch == ARCHS[arch]
    assert found.classifier['backbone']['arch'] == arch


@pytest.mark.parametrize('kernels', [None, (1, 3), (5, )])
def test_others_are_rebuilt_from_their_shapes(kernels):
    weights = weights_of(dict(SMALL, reparam_conv_kernels=kernels))
    found = recognize_resmlp(weights, (24, 40))
    assert (found.name, found.arch) == ('custom ResMLP 24x40', None)
    assert found.classifier['backbone'] == dict(
        SMALL, reparam_conv_kernels=kernels, deploy=kernels is None)
    assert found.classifier['head']['num_classes'] == 5
    with torch.device('meta'):
        again = MODELS.build(found.classifier).state_dict()
    assert {
        key: value.shape
        for key, value in again.items()
    } == {
        key: value.shape
        for key, value in weights.items()
    }


@pytest.mark.parametrize(('size', 'words'), [
    (None, 'a grid of 30 positions is not square'),
    ((24, 24), 'there are 30 positions, images of 24x24 give 18'),
])
def test_other_sizes_are_refused(size, words):
    with pytest.raises(CheckpointError, match=words):
        recognize_resmlp(weights_of(SMALL), size)


def test_what_is_no_resmlp():
    for weights in ({}, {'backbone.stem.proj.weight': torch.ones(2)}):
        with pytest.raises(CheckpointError, match='of no ResMLP'):
            recognize_resmlp(weights)
