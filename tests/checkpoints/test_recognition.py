from functools import partial

import pytest
import torch

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.checkpoints import check_fit, convert_to_mmcls, recognize
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models import ARCH_ZOO, resolve_arch
from repmlp_lite.errors import CheckpointError
from tests.helpers import DATA, TINY, classifier_cfg


def weights_of(arch=TINY, img_size=32, **backbone):
    """State dict of a classifier, on the meta device."""
    cfg = dict(type='RepMLPNet', arch=arch, img_size=img_size, out_indices=-1)
    cfg.update(backbone)
    channels = resolve_arch(arch).channels[-1]
    with torch.device('meta'):
        return MODELS.build(classifier_cfg(cfg, 7, channels)).state_dict()


def official(name):
    oracle = torch.load(DATA / f'repmlpnet_{name}.pt', weights_only=True)
    return convert_to_mmcls(oracle['state_dict'])


ODD = dict(in_channels=5, patch_size=2, reparam_conv_kernels=(3, 5))


@pytest.mark.parametrize(('weights', 'size', 'name'), [
    *((partial(weights_of, arch, size), None, name)
      for arch, size, name in (('t', 224, 'T224'), ('l', 256, 'L256'))),
    *((partial(weights_of, TINY,
               (32, 48), deploy=deploy, **ODD), (32, 48), 'custom 32x48')
      for deploy in (False, True)),
    (partial(weights_of, TINY,
             (16, 32), patch_size=(2, 4)), None, 'custom 16x32'),
    (partial(official, 'square'), None, 'custom 32'),
    (partial(official, 'rectangular'), (32, 16), 'custom 32x16'),
])
def test_the_config_builds_what_the_weights_fill(weights, size, name):
    weights = weights()
    headless = {k: weights[k] for k in weights if not k.startswith('head')}
    for given in (weights, headless):
        found = recognize(given, size)
        assert found.name == name
        # Names and shapes tell all that there is: the arch, form, head.
        with torch.device('meta'):
            check_fit(MODELS.build(found.classifier), given, 'weights')


@pytest.mark.parametrize(('name', 'shape', 'message'), [
    ('stages.1.0.norm1.weight', None, r'stages\.1.*norm1.weight. is missing'),
    ('patch_embed.projection.weight', None, "projection.weight' is missing"),
    ('stages.1.0.repmlp_block.gp.conv1.conv.weight',
     (5, 16, 1, 1), r'gates of \(8, 5, 8\) units for \(8, 16, 32\) ch'),
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
    with pytest.raises(CheckpointError, match="norm1.weight' is missing"):
        recognize({})
    with pytest.raises(CheckpointError, match='of 64 .* of 48x48 give 144'):
        recognize(weights_of(), (48, 48))


def test_published_variants_differ():
    assert len({*ARCH_ZOO.values()}) == len(ARCH_ZOO) / 2
    assert RepMLPNet.arch_zoo is ARCH_ZOO
