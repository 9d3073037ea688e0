"""Configs for mmsegmentation: what they say, and what it builds of them."""
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from mmcls_repmlp import RepMLPNet
from tests.helpers import ROOT, shapes

FOLDER = ROOT / 'configs' / 'repmlp' / 'segmentation'
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


def heads(cfg):
    return [cfg.model.decode_head, cfg.model.auxiliary_head]


def test_there_is_one_config_for_either_paper():
    assert [name.split('_')[:2]
            for name in CONFIGS] == [['pspnet', 'repmlp-res50-light'],
                                     ['upernet', 'repmlpnet-d256']]


def test_parses_without_mmsegmentation_and_is_complete(cfg):
    assert cfg.custom_imports.imports == ['mmcls_repmlp']
    assert cfg.default_scope == 'mmseg'
    assert cfg.model.backbone.type.startswith('mmcls.RepMLP')
    for part in ('train', 'val', 'test'):
        assert cfg[f'{part}_dataloader'].dataset.type == 'CityscapesDataset'
        assert cfg[f'{part}_cfg'].type.endswith('Loop')
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters == 80000
    assert Config.fromstring(cfg.pretty_text, '.py').model == cfg.model


def test_training_and_sliding_windows_have_one_size(cfg):
    crop, = (
        step.crop_size for step in cfg.train_pipeline
        if step.type == 'RandomCrop')
    windows = cfg.model.test_cfg
    assert windows.mode == 'slide'
    assert (tuple(crop) == tuple(windows.crop_size) == CROP == tuple(
        cfg.model.data_preprocessor.size))
    assert all(0 < step <= side for step, side in zip(windows.stride, CROP))
    size = cfg.model.backbone.img_size
    assert not any(side % (size if isinstance(size, int) else size[i])
                   for i, side in enumerate(CROP))


def test_heads_have_the_classes_of_cityscapes(cfg):
    assert [head.num_classes for head in heads(cfg)] == [19, 19]


def test_norms_are_synchronised_everywhere(cfg):
    for part in (cfg.model.backbone, *heads(cfg)):
        assert part.norm_cfg.type == 'SyncBN'


def test_backbone_gives_the_pyramid_that_the_heads_take(cfg, mmseg_models):
    with torch.device('meta'):
        backbone = mmseg_models.build(cfg.model.backbone)
        outs = backbone.eval()(torch.empty(1, 3, *CROP))
    assert [tuple(out.shape[2:]) for out in outs] == [
        (CROP[0] // stride, CROP[1] // stride) for stride in (4, 8, 16, 32)
    ]
    channels = [out.shape[1] for out in outs]
    for head in heads(cfg):
        indices = head.in_index
        taken = (
            channels[indices]
            if isinstance(indices, int) else [channels[i] for i in indices])
        assert head.in_channels == taken


def test_upernet_takes_our_backbone_through_mmcls(mmseg_models):
    cfg = read(UPERNET).model.backbone
    with torch.device('meta'):
        backbone = mmseg_models.build(cfg)
        backbone.switch_to_deploy()
        twin = mmseg_models.build({**cfg, 'deploy': True})
    assert type(backbone) is RepMLPNet and backbone.pad_to_multiple
    assert shapes(backbone) == shapes(twin)
    norms = {
        type(m).__name__
        for m in backbone.modules() if 'Norm' in type(m).__name__
    }
    assert norms == {'SyncBatchNorm'}


@pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore`` is False')
def test_mmsegmentation_builds_and_runs_the_config(cfg, mmseg_models):
    with torch.device('meta'):
        model = mmseg_models.build(cfg.model).eval()
        logits = model(torch.empty(1, 3, *CROP), mode='tensor')
    stride = dict(UPerHead=4, PSPHead=32)[cfg.model.decode_head.type]
    assert logits.shape == (1, 19, CROP[0] // stride, CROP[1] // stride)
