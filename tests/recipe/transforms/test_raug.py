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


def test_everything_is_drawn_uniformly_and_with_replacement():
    np.random.seed(0)
    raug, images = TRANSFORMS.build(dict(type='RAug')), 500
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
    outs = []
    for seed in (3, 3, 4):
        np.random.seed(seed)
        outs.append([RAug()({'img': image(i)})['img'] for i in range(6)])
    assert np.array_equal(outs[0], outs[1])
    assert not np.array_equal(outs[0], outs[2])


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


@pytest.mark.parametrize('options', [
    dict(num_ops=0),
    dict(num_ops=True),
    dict(num_magnitudes=1.5),
])
def test_counts_must_be_whole_numbers(options):
    with pytest.raises(ValueError, match='must be whole numbers'):
        RAug(**options)


@pytest.mark.parametrize(('shape', 'dtype'), [((20, 26, 3), np.float32),
                                              ((5, 5), np.uint8)])
def test_other_images_are_refused(shape, dtype):
    with pytest.raises(InputError, match='uint8 of shape'):
        RAug()({'img': image(shape=shape).astype(dtype)})


BILINEAR, BICUBIC = RESAMPLES
H, W = 24, 30
# The source's rules for magnitude m = 0..14: m / 10 of the full strength,
# never limited to it, and where the value is a whole number, cut off.
MAGNITUDES = {
    name: [rule(m) for m in range(15)]
    for names, rule in (
        ('Rotate', lambda m: 3 * m),
        ('Posterize', lambda m: 4 * m // 10),
        ('Solarize', lambda m: 256 * m // 10),
        ('SolarizeAdd', lambda m: 11 * m),
        ('Cutout', lambda m: 4 * m),
        ('Color Contrast Brightness Sharpness', lambda m: 0.1 + 0.18 * m),
        ('ShearX ShearY', lambda m: 0.03 * m),
        ('TranslateX TranslateY', lambda m: 0.045 * m),
    )
    for name in names.split()
}


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
    assert back == ([-v for v in forth] if name in SOURCES else forth)


def test_operations_without_magnitude_have_none():
    assert {name
            for name, (_, scale) in OPERATIONS.items()
            if scale is None} == {'AutoContrast', 'Equalize', 'Invert'}
    assert len(OPERATIONS) == len(MAGNITUDES) + 3


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
            'Invert': 255 - image,
            'Posterize': image // step * step,
            'Solarize': np.where(image < value['Solarize'], image,
                                 255 - image),
            'SolarizeAdd': np.where(image < 128, added, image)
    }.items():
        assert (result(pixels, name, magnitude) == expected).all(), name


def blurred(image):
    """Each pixel five times, its neighbours once; the edge as it is."""
    out, pad = image.copy(), [H - 2, W - 2]
    around = sum(image[i:i + pad[0], j:j + pad[1]] for i in range(3)
                 for j in range(3))
    out[1:-1, 1:-1] = (around + 4 * image[1:-1, 1:-1]) / 13
    return out


GREY = [0.299, 0.587, 0.114]
ZEROS = {
    'Brightness': lambda image: 0 * image,
    'Contrast': lambda image: (image @ GREY).mean(),
    'Color': lambda image: (image @ GREY)[..., None],
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


KERNELS = {  # weights of pixels at a distance; cubic as Pillow's transform
    BILINEAR: lambda d: np.maximum(1 - d, 0),
    BICUBIC: lambda d: np.where(
        d < 1, d**3 - 2 * d**2 + 1,
        np.where(d < 2, -d**3 + 5 * d**2 - 8 * d + 4, 0))
}


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
            weight = kernel(abs(y - 0.5 - row)) * kernel(abs(x - 0.5 - column))
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


@pytest.mark.parametrize('resample', KERNELS)
@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize('name', SOURCES)
def test_moves_fetch_pixels_from_where_they_should(name, sign, resample,
                                                   pixels):
    for magnitude in (0, 3, 14):
        value = sign * MAGNITUDES[name][magnitude]
        out = result(pixels, name, magnitude, sign=sign, resample=resample)
        expected = warped(pixels, SOURCES[name](value), KERNELS[resample])
        # A source within a rounding error of the border may go either way.
        far = np.abs(out - expected).max(-1) > 1
        assert far.mean() < 0.01, (magnitude, far.sum())


def test_cutout_is_a_square_cut_off_at_the_border(pixels):
    for magnitude, half in ((0, 1), (1, 2), (3, 6), (14, 28)):
        for x, y in ((0, 0), (29, 23), (13, 7)):
            expected = pixels.astype(int)
            expected[max(y - half, 0):y + half,
                     max(x - half, 0):x + half] = (125, 122, 113)
            centre = ((x + 0.5) / W, (y + 0.5) / H)
            out = result(pixels, 'Cutout', magnitude, centre=centre)
            assert (out == expected).all()
