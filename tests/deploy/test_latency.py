import time

import torch
from torch import nn

from mmcls_repmlp.deploy import alternating_latency, speedup


class Recorder(nn.Module):

    def __init__(self, name, calls, seconds):
        super().__init__()
        self.name, self.calls, self.seconds = name, calls, seconds

    def forward(self, x):
        self.calls.append(self.name)
        time.sleep(self.seconds)


def test_models_take_turns_after_a_warm_up():
    calls = []
    times = alternating_latency(
        Recorder('a', calls, 0.002), Recorder('b', calls, 0.), torch.ones(1),
        rounds=4)
    assert calls == ['a', 'b'] * 7
    assert [len(seconds) for seconds in times] == [4, 4]
    assert min(times[0]) >= 0.002


def test_speedup_is_the_median_of_ratios_of_neighbours():
    assert speedup([4., 9., 8.], [2., 3., 1.]) == 3
