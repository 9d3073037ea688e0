import time

import torch

from mmcls_repmlp.reparam import alternating_latency, speedup
from mmcls_repmlp.reparam.latency import alternate


def test_functions_take_turns_after_a_warm_up():
    calls = []
    pairs = list(
        alternate(
            lambda: (calls.append('a'), time.sleep(0.002)),
            lambda: calls.append('b'),
            rounds=4,
            warm_up=2))
    assert calls == ['a', 'b'] * 6
    assert len(pairs) == 4
    assert all(0.002 <= a < 60 for a, _ in pairs)


def test_models_run_without_gradients():
    seen = []

    def model(x):
        seen.append((x.sum().item(), torch.is_grad_enabled()))

    times = alternating_latency(model, model, torch.ones(3), rounds=2)
    assert [len(seconds) for seconds in times] == [2, 2]
    assert {*seen} == {(3., False)}


def test_speedup_is_the_median_of_ratios_of_neighbours():
    assert speedup([4., 9., 8.], [2., 3., 1.]) == 3
