import pytest
import torch

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.checkpoints import check_fit, convert_to_mmcls, recognize
from mmcls_repmlp.errors import CheckpointError
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models import ARCH_ZOO, resolve_arch
from tests.helpers import DATA, TINY, classifier_cfg


def weights_of(arch=TINY, img_size=32, **backbone):
    """State dict of a classifier, on the meta device."""
    cfg = dict(type='RepMLPNet', arch=arch, img_size=img_size, out_indices=-1)
    cfg.update(backbone)
    channels = resolve_arch(arch).channels[-1]
    with torch.device('meta'):
        return MODELS.build(classifier_cfg(cfg, 7, channels)).state_dict()


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(('arch', 'size', 'name'), [('t', 224, 'T224'),
                                                    ('b', 256, 'B256'),
                                                    ('d', 256, 'D256'),
                                                    ('l', 256, 'L256'),
                                                    (TINY, 32, 'custom 32')])
def test_arch_and_size_follow_from_shapes(arch, size, name, deploy):
    found = recognize(weights_of(arch, size, deploy=deploy))
    assert found.name == name
    assert found.arch == resolve_arch(arch)
    assert found.img_size == (size, size)
    assert found.deploy is deploy
    assert found.num_classes == 7
    # Merged weights do not tell what was merged into them.
    assert found.kernels == (() if deploy else (1, 3))


@pytest.mark.parametrize('deploy', [False, True])
def test_the_config_builds_what_the_weights_fill(deploy):
    weights = weights_of(
        img_size=(32, 48),
        in_channels=5,
        patch_size=2,
        reparam_conv_kernels=(3, 5),
        deploy=deploy)
    found = recognize(weights, (32, 48))
    with torch.device('meta'):
        check_fit(MODELS.build(found.classifier()), weights, 'weights')


def test_patches_that_are_not_square():
    found = recognize(weights_of(img_size=(16, 32), patch_size=(2, 4)))
    assert found.img_size == (16, 32) and found.patch_size == (2, 4)
    assert found.name == 'custom 16x32'


def test_a_model_without_head():
    weights = weights_of()
    del weights['head.fc.weight'], weights['head.fc.bias']
    found = recognize(weights)
    assert found.num_classes is None
    assert 'head' not in found.classifier()


@pytest.mark.parametrize(('name', 'size'), [('square', None),
                                            ('rectangular', (32, 16))])
def test_the_official_oracles(name, size):
    oracle = torch.load(DATA / f'repmlpnet_{name}.pt', weights_only=True)
    cfg = oracle['config']
    found = recognize(convert_to_mmcls(oracle['state_dict']), size)
    assert list(found.arch.channels) == cfg['channels']
    assert list(found.arch.depths) == cfg['num_blocks']
    assert list(found.arch.sharesets_nums) == cfg['sharesets_nums']
    assert found.img_size == (4 * cfg['hs'][0], 4 * cfg['ws'][0])
    assert list(found.kernels) == cfg['reparam_conv_k']
    assert found.num_classes == cfg['num_class']


@pytest.mark.parametrize(('name', 'shape', 'message'), [
    ('stages.1.0.norm1.weight', None, r'stages\.1.*norm1.weight. is missing'),
    ('patch_embed.projection.weight', None, "projection.weight' is missing"),
    ('stages.1.0.repmlp_block.gp.conv1.conv.weight',
     (5, 16, 1, 1), r'gates of \[8, 5, 8\] units for \[8, 16, 32\] channels'),
    ('stages.0.0.repmlp_block.fc3.weight', (32, 32, 1, 1),
     'partitions of 32 positions are not square: pass option `img_size='),
    ('stages.1.0.norm1.weight', (3, ), '4 sharesets do not divide'),
    ('stages.1.0.repmlp_block.fc3.weight', (), 'those of no RepMLPNet'),
])
def test_what_contradicts_itself_is_refused(name, shape, message):
    weights = weights_of()
    del weights[f'backbone.{name}']
    if shape is not None:
        weights[f'backbone.{name}'] = torch.empty(shape, device='meta')
    with pytest.raises(CheckpointError, match=message):
        recognize(weights)


def test_no_weights_and_another_size_are_refused():
    with pytest.raises(CheckpointError, match="fc3.weight' is missing"):
        recognize({})
    with pytest.raises(CheckpointError, match='of 64 .* of 48x48 give 144'):
        recognize(weights_of(), (48, 48))


def test_published_variants_differ():
    assert len({*ARCH_ZOO.values()}) == len(ARCH_ZOO) / 2
    assert RepMLPNet.arch_zoo is ARCH_ZOO
