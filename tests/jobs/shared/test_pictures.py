import numpy as np
import pytest

from mmcls_repmlp.jobs.shared.pictures import (READABLE, picture, readable,
                                               side_by_side, white)


def test_small_images_grow_and_their_pixels_stay_sharp():
    image = np.arange(8 * 16 * 3, dtype=np.uint8).reshape(8, 16, 3)
    times = READABLE // 8
    np.testing.assert_array_equal(
        readable(image),
        image.repeat(times, 0).repeat(times, 1))


def test_readable_images_stay():
    for shape in ((224, 300, 3), (500, 375, 3)):
        image = np.zeros(shape, np.uint8)
        assert readable(image) is image


def test_a_row_is_as_high_as_its_highest_image():
    small = np.full((8, 8, 3), 50, np.uint8)
    large = np.full((448, 224, 3), 90, np.uint8)
    row, starts = side_by_side([small, large, small])
    assert row.shape == (448, 448 + 224 + 448 + 16, 3)
    assert starts == [0, 456, 688]
    for start, value in zip(starts, (50, 90, 50)):
        assert (row[:, start:start + 224] == value).all()
    np.testing.assert_array_equal(row[:, 448:456], white(448, 8))
    assert (white(448, 8) == 255).all()


def test_one_image_is_no_row():
    image = np.full((300, 300, 3), 7, np.uint8)
    row, starts = side_by_side([image])
    assert (row == image).all() and starts == [0]


@pytest.mark.parametrize('bgr', [True, False])
@pytest.mark.parametrize('norm', [True, False])
def test_a_pipelines_image_looks_as_its_file(bgr, norm):
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 9
    image = rgb[..., ::-1] if bgr else rgb
    data = dict(img=image)
    if norm:
        mean, std = np.array([9., 8., 7.]), np.array([3., 5., 2.])
        data['img'] = ((image - mean) / std).astype(np.float32)
        data['img_norm_cfg'] = dict(mean=mean, std=std, to_rgb=False)
    np.testing.assert_array_equal(picture(data, bgr), rgb)


@pytest.mark.parametrize('shape', [(2, 3), (2, 3, 1)])
def test_a_grey_image_has_three_equal_channels(shape):
    image = np.arange(6, dtype=np.uint8).reshape(shape)
    shown = picture(dict(img=image), bgr=True)
    np.testing.assert_array_equal(shown, image.reshape(2, 3, 1).repeat(3, 2))
