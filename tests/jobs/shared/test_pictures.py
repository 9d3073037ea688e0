import numpy as np
import pytest

from mmcls_repmlp.jobs.shared.pictures import PictureNames, to_picture


def test_folders_become_part_of_the_name():
    names = PictureNames('d')
    given = {
        'd/a b/é.png': 'a b_é.png.png',
        'd/b/1.png': 'b_1.png.png',
        'd/b_1.png': 'b_1.png_000002.png',
        '../d/e.png': '.._.._d_e.png.png',
    }
    assert [names.of(path, i)
            for i, path in enumerate(given)] == [*given.values()]
    assert names.of('d/b/1.png', 9) == 'b_1.png_000009.png'
    name = names.of(f'd/{"é" * 120}.png', 0)
    assert name.endswith('é.png.png') and len(name.encode()) < 255


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
    np.testing.assert_array_equal(to_picture(data, bgr), rgb)


@pytest.mark.parametrize('shape', [(2, 3), (2, 3, 1)])
def test_a_grey_image_has_three_equal_channels(shape):
    image = np.arange(6, dtype=np.uint8).reshape(shape)
    shown = to_picture(dict(img=image), bgr=True)
    np.testing.assert_array_equal(shown, image.reshape(2, 3, 1).repeat(3, 2))
