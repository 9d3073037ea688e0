from collections import Counter

import numpy as np
import pytest

from mmcls_repmlp.host import TRANSFORMS
from mmcls_repmlp.recipe.transforms import RAug
from mmcls_repmlp.recipe.transforms.raug_ops import OPERATIONS, RESAMPLES, Draw
from repmlp_lite.errors import InputError


def image(seed=0, shape=(20, 26, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_it_is_registered_under_its_name():
    raug = TRANSFORMS.build(dict(type='RAug'))
    assert (raug.num_ops, raug.num_magnitudes) == (2, 15)
    assert repr(raug) == 'RAug(num_ops=2, num_magnitudes=15)'


def test_everything_is_drawn_uniformly_and_with_replacement():
    np.random.seed(0)
    raug, images = RAug(), 6000
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
    with pytest.raises(ValueError, match=f'{name} must be a whole number'):
        RAug(**{name: value})


@pytest.mark.parametrize(('shape', 'dtype'), [((20, 26, 3), np.float32),
                                              ((5, 5), np.uint8),
                                              ((5, 5, 4), np.uint8)])
def test_other_images_are_refused(shape, dtype):
    with pytest.raises(InputError, match='uint8 of shape'):
        RAug()({'img': image(shape=shape).astype(dtype)})
