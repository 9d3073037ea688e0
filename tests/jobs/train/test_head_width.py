import pytest

from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_on_meta
from mmcls_repmlp.jobs.train.head_width import fit_head
from tests.helpers import CONFIGS

TINY = CONFIGS / 'repmlp-tiny_ft_custom.py'
RESNET = CONFIGS / 'repmlp-resnet50-light-g8_ft_custom.py'


@pytest.mark.parametrize(
    ('config', 'backbone', 'width'),
    [(TINY, dict(), 512), (TINY, dict(arch='B'), 768),
     (TINY, dict(arch='D', img_size=256), 640),
     (TINY, dict(out_indices=(0, 2)), 256),
     (TINY, dict(out_indices=(1, ), out_after_downsample=True), 256),
     (RESNET, dict(), 2048), (RESNET, dict(base_channels=32), 1024)])
def test_it_is_as_wide_as_what_it_takes(config, backbone, width):
    cfg = read_config(config)
    cfg.model.backbone.update(backbone)
    fit_head(cfg)
    assert cfg.model.head.in_channels == width
    assert build_on_meta(cfg).head.fc.in_features == width


@pytest.mark.parametrize(('chosen', 'changes'), [
    (['model.head.in_channels'], {}),
    ([], dict(neck=dict(type='HRFuseScales', in_channels=(512, )))),
    ([], dict(backbone=dict(type='ResNet', depth=18, _delete_=True))),
])
def test_what_is_chosen_or_not_known_is_left_alone(chosen, changes):
    cfg = read_config(TINY)
    cfg.merge_from_dict({f'model.{key}': new for key, new in changes.items()})
    cfg.model.head.in_channels = 3
    fit_head(cfg, chosen)
    assert cfg.model.head.in_channels == 3
