import pytest
import torch

from mmcls_repmlp.ops import for_pointwise_conv
from tests.helpers import randn


@pytest.mark.parametrize(('shape', 'changes'), [((2, 3, 4, 4), True),
                                                ((1, 8, 4, 4), True),
                                                ((1, 8, 3, 5), False)])
def test_only_the_layout_changes_where_positions_are_many(shape, changes):
    x = randn(*shape)
    out = for_pointwise_conv(x)
    assert torch.equal(out, x)
    assert out.is_contiguous() is not changes
    assert out.is_contiguous(memory_format=torch.channels_last) is changes
