from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmcls_repmlp.host import HOOKS
from mmcls_repmlp.models.local_layers import LocalLinear, with_own_branches
from mmcls_repmlp.reparam import (InjectLocality, drop_injection, has_branches,
                                  inject_by_config, is_injected)
from repmlp_lite.errors import ConfigError

CFG = dict(type='InjectLocality', layers={'0': (2, 3)}, kernels=(3, ))


def net():
    return nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))


def runner_of(model, **wrapper):
    return SimpleNamespace(
        model=model, optim_wrapper=SimpleNamespace(**wrapper))


def test_a_config_injects_by_one_line():
    cfg, model = Config(dict(custom_hooks=[dict(type='X'), CFG])), net()
    assert is_injected(cfg)
    inject_by_config(cfg, model)
    assert type(model[0]) is LocalLinear and type(model[1]) is nn.Linear
    assert has_branches(model.state_dict())
    drop_injection(cfg)
    assert cfg.custom_hooks == [dict(type='X')] and not is_injected(cfg)
    inject_by_config(cfg, net())
    assert not is_injected(Config({})) and not has_branches(net().state_dict())


def test_tools_of_others_train_it_too():
    hook, model = HOOKS.build(CFG), net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    runner = runner_of(model, optimizer=optimizer)
    hook.before_run(runner)
    hook.before_run(runner)  # once only
    trained = [p for group in optimizer.param_groups for p in group['params']]
    assert {*map(id, trained)} == {*map(id, model.parameters())}
    wrapped = nn.DataParallel(net())
    for case in (runner_of(net()), ):
        with pytest.raises(ConfigError, match='needs repmlp train'):
            InjectLocality(CFG['layers']).before_run(case)
    assert not has_branches(wrapped.state_dict())


def test_weights_of_the_plain_network_are_completed():
    model, plain = net(), net().state_dict()
    inject_by_config(Config(dict(custom_hooks=[CFG])), model)
    complete = with_own_branches(model, plain)
    model.load_state_dict(complete)  # strictly
    assert torch.equal(model[0].weight, plain['0.weight'])
    own = model.state_dict()
    assert with_own_branches(model, own) is own
    assert {**with_own_branches(net(), plain)} == plain
