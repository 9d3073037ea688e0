import torch

from mmcls_repmlp.ops import for_pointwise_conv
from tests.helpers import randn

CL = torch.channels_last


def test_only_the_layout_changes():
    x = randn(2, 3, 4, 4)
    out = for_pointwise_conv(x)
    assert torch.equal(out, x)
    assert out.is_contiguous(memory_format=CL) and not out.is_contiguous()


def test_few_positions_stay_as_they_are():
    assert for_pointwise_conv(randn(1, 8, 3, 5)).is_contiguous()
    assert for_pointwise_conv(randn(1, 8, 4,
                                    4)).is_contiguous(memory_format=CL)
