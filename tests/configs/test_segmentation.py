"""Configs for mmsegmentation: what they say, and what it builds of them."""
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from mmcls_repmlp import RepMLPNet
from tests.helpers import CONFIGS as REPMLP
from tests.helpers import shapes

FOLDER = REPMLP / 'segmentation'
CONFIGS = sorted(path.name for path in FOLDER.glob('*.py'))
UPERNET = 'upernet_repmlpnet-d256_8xb2-80k_cityscapes-512x1024.py'
CROP = (512, 1024)


def read(name):
    return Config.fromfile(str(FOLDER / name))


@pytest.fixture
def mmseg_models():
    """mmsegmentation's registry, in its scope."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield MODELS


@pytest.fixture(params=CONFIGS)
def cfg(request):
    return read(request.param)


def test_there_is_one_config_for_either_paper():
    assert [name.split('_')[:2]
            for name in CONFIGS] == [['pspnet', 'repmlp-res50-light'],
                                     ['upernet', 'repmlpnet-d256']]


def test_parses_without_mmsegmentation_and_is_complete(cfg):
    model = cfg.model
    assert cfg.custom_imports.imports == ['mmcls_repmlp']
    assert cfg.default_scope == 'mmseg'
    assert model.backbone.type.startswith('mmcls.RepMLP')
    for part in ('train', 'val', 'test'):
        assert cfg[f'{part}_dataloader'].dataset.type == 'CityscapesDataset'
        assert cfg[f'{part}_cfg'].type.endswith('Loop')
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters == 80000
    heads = [model.decode_head, model.auxiliary_head]
    assert [head.num_classes for head in heads] == [19, 19]
    assert {part.norm_cfg.type
            for part in (model.backbone, *heads)} == {'SyncBN'}
    assert Config.fromstring(cfg.pretty_text, '.py').model == model


def test_training_and_sliding_windows_have_one_size(cfg):
    crop, = (
        step.crop_size for step in cfg.train_pipeline
        if step.type == 'RandomCrop')
    windows, size = cfg.model.test_cfg, cfg.model.backbone.img_size
    assert windows.mode == 'slide'
    assert (tuple(crop) == tuple(windows.crop_size) == CROP == tuple(
        cfg.model.data_preprocessor.size))
    assert all(0 < step <= side for step, side in zip(windows.stride, CROP))
    size = (size, size) if isinstance(size, int) else size
    assert not any(side % part for side, part in zip(CROP, size))


def test_upernet_takes_our_backbone_through_mmcls(mmseg_models):
    cfg = read(UPERNET).model.backbone
    with torch.device('meta'):
        backbone = mmseg_models.build(cfg)
        backbone.switch_to_deploy()
        twin = mmseg_models.build({**cfg, 'deploy': True})
    assert type(backbone) is RepMLPNet and backbone.pad_to_multiple
    assert shapes(backbone) == shapes(twin)
    names = {type(module).__name__ for module in backbone.modules()}
    assert {name for name in names if 'Norm' in name} == {'SyncBatchNorm'}


@pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore`` is False')
def test_mmsegmentation_builds_and_runs_the_config(cfg, mmseg_models):
    with torch.device('meta'):
        model = mmseg_models.build(cfg.model).eval()
        images = torch.empty(1, 3, *CROP)
        pyramid = model.extract_feat(images)
        logits = model(images, mode='tensor')
        model.auxiliary_head(pyramid)
    stride = dict(UPerHead=4, PSPHead=32)[cfg.model.decode_head.type]
    assert [tuple(out.shape[2:]) for out in (logits, *pyramid)] == [
        (CROP[0] // each, CROP[1] // each) for each in (stride, 4, 8, 16, 32)
    ]
    assert logits.shape[1] == 19
