"""Shared by several tests: random models, configs, comparison, paths."""
import copy
from pathlib import Path

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp.checkpoints import convert_to_mmcls
from mmcls_repmlp.jobs.shared.source import open_source
from repmlp_lite.errors import CheckpointError

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / 'tests' / 'data'
CONFIGS = ROOT / 'configs' / 'repmlp'
MINI = 'repmlp-mini_1xb64_digits-32px.py'

# Three stages with S from 1 to C, small enough for float64 on one core.
TINY = dict(channels=(8, 16, 32), depths=(1, 2, 1), sharesets_nums=(1, 4, 32))
TINY_CFG = dict(arch=TINY, img_size=32, out_indices=(2, ))
# Three stages of the first paper's ResNet: four partitions per map in the
# second stage, one in the third.
TINY_RESNET_CFG = dict(
    depth=(1, 2, 2),
    base_channels=4,
    img_size=64,
    partition_size=4,
    reparam_conv_kernels=(1, 3),
    num_groups=2,
    reduction=2,
    out_indices=(2, ))
# Two stages of the first paper's pure MLP, four partitions and one.
TINY_CIFAR_CFG = dict(
    channels=(4, 8),
    depth=1,
    img_size=8,
    partition_size=4,
    reparam_conv_kernels=(1, 3),
    out_indices=(1, ))
TINY_RESMLP_CFG = dict(
    arch=dict(channels=12, depth=2, init_values=0.5),
    img_size=32,
    patch_size=8,
    reparam_conv_kernels=(1, 3))


class Pickled:
    """Object that pickles as a call, with arguments and state."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def code_making(path):
    """Return Python code that makes a file."""
    return f'open({str(path)!r}, "w").close()'


def making(path):
    """Return an object that makes a file when it is unpickled."""
    return Pickled(exec, (code_making(path), ))


def classifier_cfg(backbone=None, num_classes=3, in_channels=32, **options):
    """Return the config of a classifier, tiny unless a backbone is given."""
    return dict(
        type='ImageClassifier',
        backbone=backbone or dict(type='RepMLPNet', **TINY_CFG),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead',
            num_classes=num_classes,
            in_channels=in_channels),
        **options)


def write_config(path, base, **settings):
    """Write a config that changes settings of another."""
    lines = [f'{name} = {value!r}' for name, value in settings.items()]
    path.write_text('\n'.join([f'_base_ = {str(CONFIGS / base)!r}', *lines]))
    return path


def load_model(config, checkpoint):
    """Build the model of a config and fill it from a checkpoint."""
    return open_source(config, checkpoint).load_model()


def quick_loaders(data, **options):
    """Settings of data loaders that read images here, without processes."""
    loader = dict(
        num_workers=0,
        persistent_workers=False,
        dataset=dict(data_root=str(data)),
        **options)
    names = 'train_dataloader', 'val_dataloader', 'test_dataloader'
    return dict.fromkeys(names, loader)


@torch.no_grad()
def randomize(model, seed=0):
    """Give every batch norm random statistics and weights.

    With fresh ones (mean 0, variance 1) almost any wrong merge looks right.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            shape = module.weight.shape
            signs = torch.randint(0, 2, shape, generator=generator) * 2 - 1
            module.weight.copy_(signs *
                                (torch.rand(shape, generator=generator) + 0.5))
            module.running_var.copy_(
                torch.rand(shape, generator=generator) * 2 + 0.3)
            for tensor in (module.bias, module.running_mean):
                tensor.copy_(torch.randn(shape, generator=generator))
    return model


def random_model(cls, seed=0, **cfg):
    """Build a model with random weights and norms, float64, in eval mode."""
    torch.manual_seed(seed)
    model = randomize(cls(**cfg), seed).double()
    model.eval()  # mmcls' backbones return nothing here
    return model


def randn(*shape, seed=0):
    """Random float64 numbers."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def shapes(model):
    """Return names and shapes of a model's state dict."""
    return {key: value.shape for key, value in model.state_dict().items()}


def assert_refused(model, weights, message, load=load_state_dict):
    """Check that weights are refused with this message, and none is loaded.

    By default mmengine loads them, which by itself would only warn.
    """
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(CheckpointError, match=message):
        load(model, weights)
    assert_same([*model.state_dict().values()], [*before.values()], 0)


def assert_equals_official(backbone, oracle, deploy, *names):
    """Compare with the logits in a file of :data:`DATA` by official code."""
    weights = convert_to_mmcls(oracle['state_dict'], *names)
    classes, channels = weights['head.fc.weight'].shape
    head = nn.ModuleDict(dict(fc=nn.Linear(channels, classes)))
    classifier = nn.ModuleDict(dict(backbone=backbone, head=head))
    assert [*weights] == [*classifier.state_dict()]
    classifier.load_state_dict(weights)
    classifier.double().eval()
    if deploy:
        backbone.switch_to_deploy()
    features, = backbone(oracle['input'].double())
    assert_same(head.fc(features.mean((2, 3))), oracle['output'])


def assert_same(actual, expected, rtol=1e-12):
    """Compare element by element, relative to the largest one."""
    if not isinstance(expected, torch.Tensor):
        assert len(actual) == len(expected)
        for a, b in zip(actual, expected):
            assert_same(a, b, rtol)
        return
    scale = float(expected.detach().abs().max())
    torch.testing.assert_close(
        actual, expected, rtol=0, atol=rtol * max(scale, 1e-300))
