"""Configs of ResMLP: the recipe that its paper gives, and one training."""
import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_model
from mmcls_repmlp.jobs.train.train import train
from tests.helpers import CONFIGS, quick_loaders

S12 = CONFIGS / 'resmlp-s12-local_8xb128_in1k.py'


def test_the_recipe_of_the_paper():
    # arXiv 2105.03404, section 3.1; for the rest it names DeiT.
    cfg = read_config(S12)
    with torch.device('meta'):
        model = build_model(cfg)
        groups = build_optim_wrapper(model,
                                     cfg.optim_wrapper).optimizer.param_groups
    assert cfg.optim_wrapper.optimizer.type == 'Lamb'
    assert {group['lr'] for group in groups} == {5e-3}
    decayed = sum(group['params'][0].numel() for group in groups
                  if group['weight_decay'])
    assert {group['weight_decay'] for group in groups} == {0., 0.2}
    matrices = [
        p for name, p in model.named_parameters()
        if p.dim() > 1 and not name.endswith(('alpha', 'beta'))
    ]
    assert decayed == sum(p.numel() for p in matrices)
    assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr[
        'base_batch_size'] == 1024
    assert cfg.train_dataloader.sampler.type == 'RepeatAugSampler'
    assert [step.type for step in cfg.train_dataloader.dataset.pipeline] == [
        'LoadImageStrict', 'RandomResizedCrop', 'RandomFlip', 'RandAugment',
        'RandomErasing', 'PackClsInputs'
    ]
    assert cfg.test_dataloader.dataset.pipeline[1].scale == int(224 / 0.9)


@pytest.mark.filterwarnings('ignore:This overload of add')
def test_a_training_of_two_steps(imagenet, work_dir):
    # As it stands, but for a slim model and two images.
    sampler = dict(type='DefaultSampler', shuffle=False, _delete_=True)
    options = quick_loaders(
        imagenet, batch_size=2, sampler=sampler) | {
            'model.backbone.arch': dict(_delete_=True, channels=8, depth=2),
            'model.backbone.patch_size': 16,
            'model.head.in_channels': 8,
            'default_hooks.logger.interval': 1
        }
    train(S12, work_dir=work_dir, epochs=2, cfg_options=options, no_test=True)
    losses = read_checkpoint(f'{work_dir}/epoch_2.pth')['message_hub'][
        'log_scalars']['train/loss']['log_history']
    assert len(losses) == 2
    assert abs(losses - np.log(1000)).max() < 1  # no class is known yet
