import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.host import build_classifier
from repmlp_lite.errors import ConfigError
from tests.helpers import TINY_CFG, classifier_cfg

LR, DECAY, RATE = 0.1, 0.05, 0.5
NO_DECAY = dict(norm_decay_mult=0., bias_decay_mult=0., flat_decay_mult=0.)
# TINY has depths (1, 2, 1): a stem, four blocks, and what comes after.
DEPTHS = {
    'backbone.patch_embed.': 0,
    'backbone.stages.0.0.': 1,
    'backbone.downsample_layers.0.': 2,
    'backbone.stages.1.0.': 2,
    'backbone.stages.1.1.': 3,
    'backbone.downsample_layers.1.': 4,
    'backbone.stages.2.0.': 4,
    'backbone.final_norm.': 5,
    'head.': 5,
}


def classifier(type='RepMLPNet', **options):
    return build_classifier(classifier_cfg(dict(type=type, **options)))


def tiny(**options):
    return classifier(**TINY_CFG, **options)


def groups(model, rate=RATE, lr=LR, **paramwise):
    init_default_scope('mmcls')
    adam = dict(type='AdamW', weight_decay=DECAY) | ({'lr': lr} if lr else {})
    cfg = dict(
        constructor='LayerDecayOptimWrapperConstructor',
        optimizer=adam,
        paramwise_cfg=dict(layer_decay_rate=rate, **paramwise))
    return build_optim_wrapper(model, cfg).optimizer.param_groups


def settings(model, **paramwise):
    """Learning rate and weight decay of every parameter, by its name."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = [(names[parameter], (group['lr'], group['weight_decay']))
             for group in groups(model, **paramwise)
             for parameter in group['params']]
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize('deploy', [False, True])
def test_every_parameter_against_plain_arithmetic(deploy):
    model = tiny(deploy=deploy)
    found = settings(model, **NO_DECAY)
    assert found.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        depth, = (DEPTHS[start] for start in DEPTHS if name.startswith(start))
        # Norms, biases and all that is flat are not decayed.
        decay = 0 if parameter.ndim == 1 else DECAY
        assert found[name] == pytest.approx((LR * RATE**(5 - depth), decay))
    # Six depths, with and without weight decay.
    assert len(groups(model, **NO_DECAY)) == 6 * 2


def test_custom_keys_are_multiplied():
    twice = {'.gp.': dict(lr_mult=3., decay_mult=2.)}
    found = settings(tiny(), custom_keys=twice)
    name = 'backbone.stages.0.0.repmlp_block.gp.conv1.conv.weight'
    assert found[name] == pytest.approx((3 * LR * RATE**4, 2 * DECAY))
    assert found['head.fc.weight'] == pytest.approx((LR, DECAY))


def test_frozen_parameters_are_left_out():
    model = tiny(frozen_stages=1)
    learnt = {n for n, p in model.named_parameters() if p.requires_grad}
    assert settings(model).keys() == learnt < dict(
        model.named_parameters()).keys()


def test_a_model_that_tells_depths_itself_is_asked():

    class Whole(torch.nn.Module):

        def __init__(self):
            super().__init__()
            self.near, self.far = (torch.nn.Linear(1, 1) for _ in range(2))

        def get_layer_depth(self, param_name, prefix=''):
            return (1 if param_name.startswith('near') else 0), 2

    assert settings(Whole()) == {
        f'{part}.{kind}': (lr, DECAY)
        for part, lr in (('near', LR), ('far', LR * RATE))
        for kind in ('weight', 'bias')
    }
    alone = settings(RepMLPNet(**TINY_CFG))
    assert alone['patch_embed.projection.weight'][0] == LR * RATE**5


@pytest.mark.parametrize('rate', [0, 1.01, 'half', float('nan')])
def test_rates_out_of_range(rate):
    with pytest.raises(ConfigError, match='layer_decay_rate must be a number'):
        groups(tiny(), rate)


def test_backbones_without_depths_and_optimizers_without_lr():
    with pytest.raises(ConfigError, match='and ResNet does not'):
        groups(classifier('ResNet', depth=18))
    with pytest.raises(ConfigError, match='optimizer.lr'):
        groups(tiny(), lr=None)
