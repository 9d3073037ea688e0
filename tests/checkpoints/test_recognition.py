import pytest
import torch

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.checkpoints import check_fit, convert_to_mmcls, recognize
from mmcls_repmlp.errors import CheckpointError
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models import ARCH_ZOO, resolve_arch
from tests.helpers import DATA, TINY, classifier_cfg


def weights_of(deploy=False, num_classes=7, **backbone):
    """State dict of a classifier, on the meta device."""
    arch = resolve_arch(backbone['arch'])
    cfg = dict(type='RepMLPNet', out_indices=-1, deploy=deploy, **backbone)
    with torch.device('meta'):
        return MODELS.build(
            classifier_cfg(cfg, num_classes, arch.channels[-1])).state_dict()


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(('arch', 'size', 'name'), [('t', 224, 'T224'),
                                                    ('b', 256, 'B256'),
                                                    ('d', 256, 'D256'),
                                                    ('l', 256, 'L256'),
                                                    (TINY, 32, 'custom 32')])
def test_arch_and_size_follow_from_shapes(arch, size, name, deploy):
    found = recognize(weights_of(deploy, arch=arch, img_size=size))
    assert found.name == name
    assert found.arch == resolve_arch(arch)
    assert found.img_size == (size, size)
    assert found.deploy is deploy
    assert found.num_classes == 7
    # Merged weights do not tell what was merged into them.
    assert found.kernels == (() if deploy else (1, 3))


def test_the_config_builds_what_the_weights_fill():
    cfg = dict(
        arch=TINY,
        img_size=(32, 48),
        in_channels=5,
        patch_size=2,
        reparam_conv_kernels=(3, 5))
    for deploy in (False, True):
        weights = weights_of(deploy, **cfg)
        found = recognize(weights, (32, 48))
        with torch.device('meta'):
            check_fit(MODELS.build(found.classifier()), weights, 'weights')


def test_patches_that_are_not_square():
    found = recognize(
        weights_of(arch=TINY, img_size=(16, 32), patch_size=(2, 4)))
    assert found.img_size == (16, 32) and found.patch_size == (2, 4)
    assert found.name == 'custom 16x32'


def test_a_model_without_head():
    weights = {
        key: value
        for key, value in weights_of(arch=TINY, img_size=32).items()
        if not key.startswith('head.')
    }
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


@pytest.mark.parametrize(
    ('damage', 'size', 'message'),
    [(lambda w: w.clear(), None, "fc3.weight' is missing"),
     (lambda w: w.pop('backbone.stages.1.0.norm1.weight'), None,
      "'backbone.stages.1.0.norm1.weight' is missing"),
     (lambda w: w.pop('backbone.patch_embed.projection.weight'), None,
      "projection.weight' is missing"),
     (lambda w: w.update({
         'backbone.stages.1.0.repmlp_block.gp.conv1.conv.'
         'weight': torch.ones(5, 16, 1, 1)
     }), None, r'gates of \[8, 5, 8\] units for \[8, 16, 32\] channels'),
     (lambda w: w.update({
         'backbone.stages.0.0.repmlp_block.fc3.weight': torch
         .ones(1, device='meta').expand(32, 32, 1, 1)
     }), None,
      'partitions of 32 positions are not square: pass option `img_size='),
     (lambda w: None, (48, 48), 'partitions of 64 positions, images of 48x48 '
      'give 144'),
     (lambda w: w.update({'backbone.stages.1.0.norm1.weight': torch.ones(3)}),
      None, '4 sharesets do not divide'),
     (lambda w:
      w.update({'backbone.stages.1.0.repmlp_block.fc3.weight': torch.ones(
          ())}), None, 'those of no RepMLPNet')])
def test_what_contradicts_itself_is_refused(damage, size, message):
    weights = dict(weights_of(arch=TINY, img_size=32))
    damage(weights)
    with pytest.raises(CheckpointError, match=message):
        recognize(weights, size)


def test_published_variants_differ():
    assert len({*ARCH_ZOO.values()}) == len(ARCH_ZOO) / 2
    assert RepMLPNet.arch_zoo is ARCH_ZOO
