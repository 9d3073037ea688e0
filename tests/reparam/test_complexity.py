import torch
from torch import nn

from mmcls_repmlp.reparam import complexity


def test_counts_parameters_and_multiplications_without_data():
    with torch.device('meta'):
        model = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.Flatten(),
            nn.Linear(4 * 5 * 6, 7), nn.BatchNorm1d(7))
    # In training mode the norm would refuse a batch of one.
    counts = complexity(model.train(), (2, 5, 6))
    assert counts.params == 4 * 9 + 4 + 7 * 120 + 7 + 14
    assert counts.macs == 5 * 6 * 4 * 9 + 7 * 120
    assert model.training
