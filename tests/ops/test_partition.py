import pytest
import torch

from mmcls_repmlp.ops import (crop_padding, pad_below_and_right, partition,
                              unpartition)
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


def test_nothing_is_copied_where_nothing_changes():
    x = randn(2, 3, 8, 6)
    assert partition(x, (8, 6)) is x and unpartition(x, (8, 6)) is x
    assert pad_below_and_right(x, (4, 6)) is x
    assert crop_padding(x, (8, 6), (8, 6)) is x


@pytest.mark.parametrize('size', [(3, 4), (4, 3), (8, 4)])
def test_maps_that_are_no_whole_number_of_partitions_are_refused(size):
    with pytest.raises(ValueError, match=f'4x4 map .* {size[0]}x{size[1]}'):
        partition(randn(1, 1, 4, 4), size)
    with pytest.raises(ValueError, match='do not fill'):
        unpartition(randn(2, 1, *size), (4, 4))
    with pytest.raises(ValueError, match='3 partitions of 2x2'):
        unpartition(randn(3, 1, 2, 2), (4, 4))


@pytest.mark.parametrize(('image', 'padded'), [((1, 1), (4, 6)),
                                               ((4, 7), (4, 12)),
                                               ((5, 6), (8, 6)),
                                               ((9, 13), (12, 18))])
def test_cropping_is_the_inverse(image, padded):
    x = randn(2, 3, *image)
    y = pad_below_and_right(x, (4, 6))
    assert y.shape[2:] == padded
    assert torch.equal(y[..., :image[0], :image[1]], x)
    assert y.count_nonzero() == x.numel()  # the rest is zero
    assert torch.equal(crop_padding(y, image, padded), x)


@pytest.mark.parametrize(('side', 'kept'), [(1, 1), (4, 1), (5, 2), (8, 2),
                                            (9, 3), (31, 8), (32, 8)])
def test_maps_keep_every_cell_that_the_image_reaches(side, kept):
    x = randn(1, 1, 8, 8)  # stride 4
    assert torch.equal(crop_padding(x, (side, 32), (32, 32)), x[..., :kept, :])
    assert torch.equal(crop_padding(x, (32, side), (32, 32)), x[..., :kept])
