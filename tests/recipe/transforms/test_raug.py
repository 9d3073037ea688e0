"""Operations and magnitudes against figures and formulas written out here."""
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from mmcls_repmlp.host import TRANSFORMS
from mmcls_repmlp.recipe.transforms import RAug
from mmcls_repmlp.recipe.transforms.raug import (OPERATIONS, RESAMPLES, Draw,
                                                 apply)
from repmlp_lite.errors import InputError


def image(seed=0, shape=(20, 26, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_it_is_registered_under_its_name():
    raug = TRANSFORMS.build(dict(type='RAug'))
    assert (raug.num_ops, raug.num_magnitudes) == (2, 15)
    assert repr(raug) == 'RAug(num_ops=2, num_magnitudes=15)'


def test_everything_is_drawn_uniformly_and_with_replacement():
    np.random.seed(0)
    raug, images = RAug(), 2000
    pairs = [raug.draws() for _ in range(images)]
    drawn = [[
        d.name, d.magnitude, d.sign, d.resample,
        int(8 * d.centre[0]),
        int(8 * d.centre[1])
    ] for pair in pairs for d in pair]
    every = [OPERATIONS, range(15), (1, -1), RESAMPLES, range(8), range(8)]
    for values, wanted in zip(zip(*drawn), every):
        counts, mean = Counter(values), 2 * images / len(wanted)
        assert counts.keys() == {*wanted}
        assert max(abs(n - mean) for n in counts.values()) < 5 * mean**0.5
    same = sum(a.name == b.name for a, b in pairs)
    assert abs(same - images / 16) < 5 * (images / 16)**0.5


def test_numpys_seed_repeats_it():
    raug, outs = RAug(), []
    for seed in (3, 3, 4):
        np.random.seed(seed)
        outs.append(
            np.stack([raug({'img': image(i)})['img'] for i in range(6)]))
    assert (outs[0] == outs[1]).all()
    assert (outs[0] != outs[2]).any()


@pytest.fixture
def augmented(monkeypatch):
    """Apply chosen draws to an image."""

    def augment(given, *draws, **results):
        raug = RAug()
        monkeypatch.setattr(raug, 'draws', lambda: draws)
        return raug(dict(results, img=given))

    return augment


def test_every_draw_is_applied_in_turn(augmented):
    out = augmented(image(), Draw('Invert', 0), Draw('Solarize', 5),
                    Draw('Brightness', 14))['img']
    inverted = 255 - image().astype(int)
    solarized = np.where(inverted < 128, inverted, 255 - inverted)
    assert (out == np.minimum(np.floor(solarized * 2.62), 255)).all()


def test_channels_are_blue_green_red(augmented):
    bgr = np.zeros((20, 26, 3), np.uint8)
    bgr[..., 0] = 200  # blue, which weighs little in a grey image
    # Colour weighs channels differently, a cutout fills them differently.
    out = augmented(bgr, Draw('Color', 0), Draw('Cutout', 1))['img']
    assert out[10, 13].tolist() == [113, 122, 125]
    grey = 0.114 * 200
    expected = [0.9 * grey + 20, 0.9 * grey, 0.9 * grey]
    assert np.abs(out[0, 0] - expected).max() <= 1


@pytest.mark.parametrize('name', OPERATIONS)
def test_shape_and_type_stay_and_the_input_too(name, augmented):
    given = image()
    results = augmented(given, Draw(name, 14), gt_label=3)
    out = results['img']
    assert out.shape == given.shape and out.dtype == np.uint8
    assert out.flags.c_contiguous and out.flags.owndata
    assert (given == image()).all() and results['gt_label'] == 3


@pytest.mark.parametrize('name', ['num_ops', 'num_magnitudes'])
@pytest.mark.parametrize('value', [0, 1.5, '2', True])
def test_counts_must_be_whole_numbers(name, value):
    with pytest.raises(ValueError, match=f'{name}.* must be whole numbers'):
        RAug(**{name: value})


@pytest.mark.parametrize(('shape', 'dtype'), [((20, 26, 3), np.float32),
                                              ((5, 5), np.uint8),
                                              ((5, 5, 4), np.uint8)])
def test_other_images_are_refused(shape, dtype):
    with pytest.raises(InputError, match='uint8 of shape'):
        RAug()({'img': image(shape=shape).astype(dtype)})


BILINEAR, BICUBIC = RESAMPLES
H, W = 24, 30
FACTORS = [0.1 + 0.18 * m for m in range(15)]
SHEARS = [0.03 * m for m in range(15)]
SHIFTS = [0.045 * m for m in range(15)]
# The source's rules for magnitude m = 0..14: m / 10 of the full strength,
# never limited to it, and where the value is a whole number, cut off.
MAGNITUDES = {
    'Rotate': [3 * m for m in range(15)],
    'Posterize': [4 * m // 10 for m in range(15)],
    'Solarize': [256 * m // 10 for m in range(15)],
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
    out = apply(Image.fromarray(pixels), Draw(name, magnitude, **more))
    return np.asarray(out).astype(int)


@pytest.mark.parametrize('name', MAGNITUDES)
def test_values_of_magnitudes(name):
    forth, back = ([
        OPERATIONS[name][1].value(Draw(name, m, sign=sign)) for m in range(15)
    ] for sign in (1, -1))
    whole = name in ('Posterize', 'Solarize', 'SolarizeAdd', 'Cutout')
    assert all(isinstance(value, int) == whole for value in forth)
    assert np.allclose(forth, MAGNITUDES[name], rtol=0, atol=1e-12)
    assert back == ([-v for v in forth] if name in SIGNED else forth)


@pytest.mark.parametrize('name', PLAIN)
def test_operations_without_magnitude_have_none(name, pixels):
    assert {*OPERATIONS} == {*MAGNITUDES, *PLAIN}
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


@pytest.mark.parametrize('magnitude', range(15))
def test_operations_on_the_values_of_pixels(pixels, magnitude):
    image = pixels.astype(int)
    value = {name: values[magnitude] for name, values in MAGNITUDES.items()}
    step = 2**(8 - value['Posterize'])  # the highest bits stay, or none
    added = np.minimum(image + value['SolarizeAdd'], 255)
    for name, expected in {
            'Posterize': image // step * step,
            'Solarize': np.where(image < value['Solarize'], image,
                                 255 - image),
            'SolarizeAdd': np.where(image < 128, added, image)
    }.items():
        assert (result(pixels, name, magnitude) == expected).all(), name


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
    error = np.abs(result(pixels, name, magnitude) - expected)
    assert error.max() <= 1 + abs(1 - factor)


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


# A corner where nothing is left after a move either way.
@pytest.mark.parametrize(('name', 'forth', 'back'),
                         [('ShearX', [-1, -1], [-1, 0]),
                          ('ShearY', [-1, -1], [0, -1]),
                          ('TranslateX', [-1, -1], [0, 0]),
                          ('TranslateY', [-1, -1], [0, 0]),
                          ('Rotate', [0, 0], [0, 0])])
def test_moves_fill_with_grey(name, forth, back, pixels):
    for sign, (y, x) in ((1, forth), (-1, back)):
        out = result(0 * pixels, name, 14, sign=sign)
        assert out[y, x].tolist() == [128, 128, 128]


def test_cutout_is_a_square_cut_off_at_the_border(pixels):
    for magnitude, half in ((0, 1), (1, 2), (3, 6), (14, 28)):
        for x, y in ((0, 0), (29, 23), (13, 7)):
            expected = pixels.astype(int)
            expected[max(y - half, 0):y + half,
                     max(x - half, 0):x + half] = (125, 122, 113)
            centre = ((x + 0.5) / W, (y + 0.5) / H)
            out = result(pixels, 'Cutout', magnitude, centre=centre)
            assert (out == expected).all()
