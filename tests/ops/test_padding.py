import pytest
import torch

from mmcls_repmlp.ops import crop_padding, pad_below_and_right
from tests.helpers import randn


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


def test_whole_multiples_stay_as_they_are():
    x = randn(2, 3, 8, 6)
    assert pad_below_and_right(x, (4, 6)) is x
    assert crop_padding(x, (8, 6), (8, 6)) is x


@pytest.mark.parametrize(('side', 'kept'), [(1, 1), (4, 1), (5, 2), (8, 2),
                                            (9, 3), (31, 8), (32, 8)])
def test_maps_keep_every_cell_that_the_image_reaches(side, kept):
    x = randn(1, 1, 8, 8)  # stride 4
    assert torch.equal(crop_padding(x, (side, 32), (32, 32)), x[..., :kept, :])
    assert torch.equal(crop_padding(x, (32, side), (32, 32)), x[..., :kept])


def test_dtype_is_kept():
    x = torch.ones(1, 3, 3, 3, dtype=torch.bfloat16)
    assert pad_below_and_right(x, (2, 2)).dtype is torch.bfloat16
