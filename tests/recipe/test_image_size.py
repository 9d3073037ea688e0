import pytest
from mmengine.config import Config

from mmcls_repmlp.recipe.image_size import scale_pipelines


@pytest.mark.parametrize(('step', 'expected'), [
    (dict(type='RandomResizedCrop', scale=32), dict(scale=(48, 80))),
    (dict(type='mmcls.RandomCrop', crop_size=(32, 32),
          padding=4), dict(crop_size=(48, 80), padding=6)),
    (dict(type='Resize', scale=(32, 32)), dict(scale=(80, 48))),
    (dict(type='CenterCrop', crop_size=28), dict(crop_size=(70, 42))),
    (dict(type='ResizeEdge', scale=36), dict(scale=90)),
    (dict(type='RandomFlip', scale=36), dict(scale=36)),
])
def test_height_and_width_have_their_order(step, expected):
    views = dict(type='TestTimeAug', transforms=[[step], [step]])
    cfg = Config(dict(model=dict(aug=step), tta_pipeline=[views]))
    scale_pipelines(cfg, (32, 32), (48, 80))
    assert cfg.model.aug == step
    (found, ), other = cfg.tta_pipeline[0].transforms
    assert [found] == other
    assert {key: found[key] for key in expected} == expected
