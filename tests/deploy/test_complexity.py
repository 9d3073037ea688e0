import torch
from torch import nn

from mmcls_repmlp.deploy import complexity


def test_counts_parameters_and_multiplications():
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.Flatten(),
        nn.Linear(4 * 5 * 6, 7))
    counts = complexity(model, (2, 5, 6))
    assert counts.params == 4 * 9 + 4 + 7 * 120 + 7
    assert counts.macs == 5 * 6 * 4 * 9 + 7 * 120


def test_keeps_mode_and_works_without_data():
    with torch.device('meta'):
        model = nn.Linear(3, 2)
    assert complexity(model.train(), (3, )).macs == 6
    assert model.training
