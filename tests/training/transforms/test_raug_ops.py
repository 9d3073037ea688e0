"""Operations and magnitudes against figures and formulas written out here."""
import numpy as np
import pytest
from PIL import Image

from mmcls_repmlp.training.transforms.raug_ops import (OPERATIONS, RESAMPLES,
                                                       Draw, apply)

BILINEAR, BICUBIC = RESAMPLES
H, W = 24, 30
FACTORS = [0.1 + 0.18 * m for m in range(15)]
SHEARS = [0.03 * m for m in range(15)]
SHIFTS = [0.045 * m for m in range(15)]
# The source's rules for magnitude m = 0..14: m / 10 of the full strength,
# never limited to it, and where the value is a whole number, cut off.
MAGNITUDES = {
    'Rotate': [3 * m for m in range(15)],
    'Posterize': [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 5, 5],
    'Solarize': [
        0, 25, 51, 76, 102, 128, 153, 179, 204, 230, 256, 281, 307, 332, 358
    ],
    'SolarizeAdd': [11 * m for m in range(15)],
    'Cutout': [4 * m for m in range(15)],
    'Color': FACTORS,
    'Contrast': FACTORS,
    'Brightness': FACTORS,
    'Sharpness': FACTORS,
    'ShearX': SHEARS,
    'ShearY': SHEARS,
    'TranslateX': SHIFTS,
    'TranslateY': SHIFTS,
}
SIGNED = {'Rotate', 'ShearX', 'ShearY', 'TranslateX', 'TranslateY'}
PLAIN = ('AutoContrast', 'Equalize', 'Invert')


@pytest.fixture(scope='module')
def pixels():
    """Smooth in the middle, noise above; channels of different ranges."""
    x, y = np.meshgrid(np.arange(W), np.arange(H))
    smooth = 128 + 60 * np.sin(x / 4) + 50 * np.cos(y / 5)
    image = np.stack([smooth, 240 - smooth / 2, 20 + smooth / 3], -1)
    image[:8] = np.random.default_rng(0).integers(10, 240, (8, W, 3))
    return image.astype(np.uint8)


def result(pixels, name, magnitude, **more):
    return np.asarray(
        apply(Image.fromarray(pixels), Draw(name, magnitude,
                                            **more))).astype(int)


def test_the_table_holds_the_sixteen_operations():
    assert {*OPERATIONS} == {*MAGNITUDES, *PLAIN}
    assert len(OPERATIONS) == 16


@pytest.mark.parametrize('name', MAGNITUDES)
def test_values_of_magnitudes(name):
    scale = OPERATIONS[name][1]
    values = [scale.value(Draw(name, m)) for m in range(15)]
    if name in ('Posterize', 'Solarize', 'SolarizeAdd', 'Cutout'):
        assert all(type(value) is int for value in values)
        # 110 * 0.7 is a little below 77 in floating point, as in the source.
        expected = [int(m / 10 * 110) for m in range(15)
                    ] if (name == 'SolarizeAdd') else MAGNITUDES[name]
        assert values == expected
        assert np.allclose(expected, MAGNITUDES[name], atol=1)
    assert np.allclose(
        values, MAGNITUDES[name], atol=1 if (name == 'SolarizeAdd') else 1e-12)
    backwards = [scale.value(Draw(name, m, sign=-1)) for m in range(15)]
    assert backwards == ([-v for v in values] if name in SIGNED else values)


@pytest.mark.parametrize('name', PLAIN)
def test_operations_without_magnitude_have_none(name, pixels):
    assert OPERATIONS[name][1] is None
    assert (result(pixels, name, 0) == result(pixels, name, 14)).all()


def test_invert(pixels):
    assert (result(pixels, 'Invert', 3) == 255 - pixels.astype(int)).all()


def test_auto_contrast(pixels):
    low, high = pixels.min((0, 1)), pixels.max((0, 1)).astype(int)
    expected = (pixels - low) * (255 / (high - low))
    assert np.abs(result(pixels, 'AutoContrast', 0) - expected).max() <= 1


def test_equalize(pixels):
    out = result(pixels, 'Equalize', 0)
    for c in range(3):
        counts = np.bincount(pixels[..., c].ravel(), minlength=256)
        step = (counts.sum() - counts[counts > 0][-1]) // 255
        below = np.concatenate([[0], np.cumsum(counts)[:-1]])
        table = np.minimum((below + step // 2) // step, 255)
        assert (out[..., c] == table[pixels[..., c]]).all()


def test_posterize_keeps_the_highest_bits_down_to_none(pixels):
    for magnitude, bits in enumerate(MAGNITUDES['Posterize']):
        step = 2**(8 - bits)
        assert (result(pixels, 'Posterize',
                       magnitude) == pixels.astype(int) // step * step).all()


@pytest.mark.parametrize('magnitude', range(0, 15, 2))
def test_solarize(pixels, magnitude):
    image = pixels.astype(int)
    threshold = MAGNITUDES['Solarize'][magnitude]
    assert (result(pixels, 'Solarize',
                   magnitude) == np.where(image < threshold, image,
                                          255 - image)).all()
    add = int(magnitude / 10 * 110)
    assert (result(pixels, 'SolarizeAdd',
                   magnitude) == np.where(image < 128,
                                          np.minimum(image + add, 255),
                                          image)).all()


def grey(image):
    return image @ [0.299, 0.587, 0.114]


def blurred(image):
    """Each pixel five times, its neighbours once; the edge as it is."""
    out = image.astype(float)
    around = sum(image[1 + i:H - 1 + i, 1 + j:W - 1 + j].astype(float)
                 for i in (-1, 0, 1) for j in (-1, 0, 1))
    out[1:-1, 1:-1] = (around + 4 * image[1:-1, 1:-1]) / 13
    return out


ZEROS = {
    'Brightness': lambda image: 0 * image,
    'Contrast': lambda image: np.full(image.shape,
                                      grey(image).mean()),
    'Color': lambda image: np.repeat(grey(image)[..., None], 3, 2),
    'Sharpness': blurred,
}


@pytest.mark.parametrize('magnitude', [0, 5, 9, 14])
@pytest.mark.parametrize('name', ZEROS)
def test_enhancers_blend_with_what_they_take_away(name, pixels, magnitude):
    factor = MAGNITUDES[name][magnitude]
    zero = ZEROS[name](pixels.astype(float))
    expected = np.clip(zero + factor * (pixels - zero), 0, 255)
    # Pillow rounds what is taken away, and cuts off the result.
    assert np.abs(result(pixels, name, magnitude) -
                  expected).max() <= 1 + abs(1 - factor)


def triangle(d):
    return np.maximum(1 - np.abs(d), 0)


def cubic(d, a=-1):  # what Pillow's transform takes
    d = np.abs(d)
    return np.where(d < 1, (a + 2) * d**3 - (a + 3) * d**2 + 1,
                    np.where(d < 2, a * (d**3 - 5 * d**2 + 8 * d - 4), 0))


def warped(image, source, kernel):
    """Fetch every pixel from source(x, y), in coordinates of pixel edges."""
    x, y = np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5)
    x, y = source(x, y)
    inside = (x >= 0) & (x < W) & (y >= 0) & (y < H)
    out = np.zeros(image.shape)
    for i in range(-1, 3):
        for j in range(-1, 3):
            row, column = (np.floor(v - 0.5).astype(int) + k
                           for v, k in ((y, i), (x, j)))
            weight = kernel(y - 0.5 - row) * kernel(x - 0.5 - column)
            out += weight[..., None] * image[row.clip(0, H - 1),
                                             column.clip(0, W - 1)]
    return np.where(inside[..., None], out.clip(0, 255), 128)


def turned(degrees):
    # Counterclockwise on the screen, where y points down.
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return lambda x, y: (c * (x - W / 2) - s * (y - H / 2) + W / 2, s *
                         (x - W / 2) + c * (y - H / 2) + H / 2)


SOURCES = {
    'ShearX': lambda v: lambda x, y: (x + v * y, y),
    'ShearY': lambda v: lambda x, y: (x, y + v * x),
    'TranslateX': lambda v: lambda x, y: (x + v * W, y),
    'TranslateY': lambda v: lambda x, y: (x, y + v * H),
    'Rotate': turned,
}


@pytest.mark.parametrize(('resample', 'kernel'), [(BILINEAR, triangle),
                                                  (BICUBIC, cubic)])
@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize('name', SOURCES)
def test_moves_fetch_pixels_from_where_they_should(name, sign, resample,
                                                   kernel, pixels):
    for magnitude in (0, 3, 14):
        value = sign * MAGNITUDES[name][magnitude]
        out = result(pixels, name, magnitude, sign=sign, resample=resample)
        expected = warped(pixels, SOURCES[name](value), kernel)
        # A source within a rounding error of the border may go either way.
        far = np.abs(out - expected).max(-1) > 1
        assert far.mean() < 0.01, (magnitude, far.sum())


@pytest.mark.parametrize('name', SOURCES)
def test_moves_fill_with_grey(name, pixels):
    for sign, corner in ((1, (-1, -1)), (-1, (0, 0))):
        out = result(0 * pixels, name, 14, sign=sign)
        if name == 'Rotate':
            corner = (0, 0)
        elif name.startswith('Shear'):  # at the far end of the slope
            corner = (-1, -1) if sign == 1 else ((-1,
                                                  0) if name == 'ShearX' else
                                                 (0, -1))
        assert out[corner].tolist() == [128, 128, 128]


def test_cutout_is_a_square_cut_off_at_the_border(pixels):
    for magnitude, half in ((0, 1), (1, 2), (3, 6), (14, 28)):
        for x, y in ((0, 0), (29, 23), (13, 7)):
            expected = pixels.astype(int)
            expected[max(y - half, 0):y + half,
                     max(x - half, 0):x + half] = (125, 122, 113)
            centre = ((x + 0.5) / W, (y + 0.5) / H)
            assert (result(pixels, 'Cutout', magnitude,
                           centre=centre) == expected).all()


@pytest.mark.parametrize('name', OPERATIONS)
def test_the_image_that_is_given_stays_as_it_is(name, pixels):
    image = Image.fromarray(pixels)
    out = apply(image, Draw(name, 7))
    assert (np.asarray(image) == pixels).all()
    assert (out.size, out.mode) == ((W, H), 'RGB')
