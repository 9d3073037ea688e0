import pytest
import torch

from mmcls_repmlp.ops import partition, unpartition
from tests.helpers import randn


@pytest.mark.parametrize(('shape', 'size'), [((2, 3, 4, 6), (2, 3)),
                                             ((1, 2, 6, 4), (3, 4)),
                                             ((2, 3, 4, 4), (4, 4)),
                                             ((3, 1, 2, 8), (1, 1))])
def test_partitions_are_the_tiles_in_reading_order(shape, size):
    x, (h, w) = randn(*shape), size
    tiles = [
        image[:, top:top + h, left:left + w] for image in x
        for top in range(0, shape[2], h) for left in range(0, shape[3], w)
    ]
    parts = partition(x, size)
    assert torch.equal(parts, torch.stack(tiles))
    assert torch.equal(unpartition(parts, shape[2:]), x)


def test_one_partition_is_not_copied():
    x = randn(2, 3, 4, 4)
    assert partition(x, (4, 4)).data_ptr() == x.data_ptr()


@pytest.mark.parametrize('size', [(3, 4), (4, 3), (8, 4)])
def test_maps_that_are_no_whole_number_of_partitions_are_refused(size):
    with pytest.raises(ValueError, match=f'4x4 map .* {size[0]}x{size[1]}'):
        partition(randn(1, 1, 4, 4), size)
    with pytest.raises(ValueError, match='do not fill'):
        unpartition(randn(2, 1, *size), (4, 4))
    with pytest.raises(ValueError, match='3 partitions of 2x2'):
        unpartition(randn(3, 1, 2, 2), (4, 4))
