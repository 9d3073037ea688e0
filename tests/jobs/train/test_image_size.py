import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.host import build_dataset
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_on_meta
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.image_size import ResizedWeights, set_image_size
from mmcls_repmlp.jobs.train.train import train
from mmcls_repmlp.ops import resize_fc
from mmcls_repmlp.recipe.settings import iter_items
from repmlp_lite.errors import UserError
from tests.helpers import CONFIGS, MINI, assert_same

FC3 = 'backbone.stages.0.0.repmlp_block.fc3.weight'
# One of each kind of pipeline.
OURS = [
    CONFIGS / f'repmlp-{name}.py'
    for name in ('tiny_8xb32_in1k', 'base_8xb64_in1k-256px', 'tiny_ft_custom',
                 'cifar_1xb128_cifar10', 'faceresnet_4xb64_faces-96px',
                 'mini_ft-1xb64_digits-48px',
                 'resnet50-bottleneck-g4-8_8xb32_in1k-320px')
]


@pytest.mark.parametrize('path', OURS, ids=lambda path: path.stem)
def test_the_config_of_another_size_is_found(path):
    # Of each pair of configs of two sizes, what differs comes out.
    cfg = read_config(path)
    height, width = build_on_meta(cfg).backbone.img_size
    before = copy.deepcopy(cfg)
    set_image_size(cfg, (2 * height, 2 * width))
    assert build_on_meta(cfg).backbone.img_size == (2 * height, 2 * width)
    doubled = 0
    for (key, old), (_, new) in zip(
            iter_items(before.train_dataloader),
            iter_items(cfg.train_dataloader)):
        if key in ('scale', 'crop_size'):
            doubled += 1
            assert new == 2 * old if isinstance(
                old, int) else (new in (2 * old[0], (2 * old[0], 2 * old[1])))
    assert doubled
    set_image_size(cfg, (height, width))
    for loader in ('train_dataloader', 'test_dataloader'):
        steps = [copy.deepcopy(c[loader].dataset.pipeline)
                 for c in (before, cfg)]  # yapf: disable
        for step in steps[0]:  # (96, 96) is 96
            for key in {'scale', 'crop_size'} & {*step}:
                value = step[key]
                step[key] = value if isinstance(value, int) else value[0]
        assert steps[0] == steps[1]


def test_pixels_have_the_order_of_the_model(project):
    cfg = read_config(project.config)
    set_image_size(cfg, (32, 64))
    for phase in ('train', 'test'):
        dataset = build_dataset(cfg[f'{phase}_dataloader'].dataset)
        assert dataset[0]['inputs'].shape == (3, 32, 64)


def test_other_backbones_are_refused():
    cfg = read_config(CONFIGS / MINI)
    cfg.model.backbone = dict(type='ResNet', depth=18)
    with pytest.raises(UserError, match='img_size=48 48` is for the backb'):
        set_image_size(cfg, (48, 48))


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_weights_are_resized_by_shape(prefix):
    before = read_config(CONFIGS / MINI)
    after = Config(dict(copy.deepcopy(before), work_dir='x'))
    resized = set_image_size(after, (64, 64))
    model = build_on_meta(before)
    part = model if prefix else model.backbone
    weights = {name: torch.rand(value.shape)
               for name, value in part.state_dict().items()}  # yapf: disable
    content, path = resized.fit(dict(state_dict=weights), 'a/old.pth')
    assert path == str(Path('x/old_64x64.pth'))
    fitted = content['state_dict']
    key = FC3.removeprefix('' if prefix else 'backbone.')
    assert_same(fitted[key], resize_fc(weights[key], (8, 8), (16, 16)), 0)
    # What fits already stays as it is, and so does all without a new size.
    for fit, given in ((resized.fit, fitted), (ResizedWeights().fit, weights)):
        given = dict(state_dict=given)
        assert fit(given, 'b.pth') == (given, 'b.pth')


@pytest.mark.parametrize('place', ['load_from', 'init_cfg'])
def test_training_starts_from_resized_weights(project, work_dir, place):
    options = dict(load_from=str(project.trained))
    if place == 'init_cfg':
        options = {
            'model.backbone.init_cfg': dict(
                type='Pretrained',
                checkpoint=str(project.trained),
                prefix='backbone.')
        }
    train(
        project.config,
        work_dir,
        img_size=(48, 48),
        epochs=1,
        lr=1e-9,
        cfg_options=options)
    resized = Path(work_dir, 'epoch_2_48x48.pth')
    old, new, trained = (
        read_checkpoint(path)['state_dict'][FC3]
        for path in (project.trained, resized, Path(work_dir, 'epoch_1.pth')))
    assert_same(new, resize_fc(old, (8, 8), (12, 12)), 0)
    assert_same(trained, new, 1e-5)
    # The recorded config belongs to what was trained, and trains again.
    assert run_test(None, work_dir)
    recorded, = Path(work_dir).glob('*.py')
    train(recorded, f'{work_dir}_again', epochs=1)


def test_a_refused_size_writes_nothing(project, work_dir):
    with pytest.raises(UserError, match='img_size'):
        train(project.config, work_dir, img_size=(33, 33))
    assert not Path(work_dir).exists()
