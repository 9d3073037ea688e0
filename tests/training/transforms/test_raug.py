from collections import Counter

import numpy as np
import pytest

from mmcls_repmlp.errors import InputError
from mmcls_repmlp.host import TRANSFORMS
from mmcls_repmlp.training.transforms import RAug
from mmcls_repmlp.training.transforms.raug_ops import OPERATIONS, Draw


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
    draws = [draw for pair in pairs for draw in pair]
    assert len(draws) == 2 * images
    for values, kinds in (([d.name for d in draws], 16), ([
            d.magnitude for d in draws
    ], 15), ([d.sign for d in draws], 2), ([d.resample for d in draws], 2),
                          ([int(8 * d.centre[0]) for d in draws],
                           8), ([int(8 * d.centre[1]) for d in draws], 8)):
        counts = Counter(values)
        mean = 2 * images / kinds
        assert len(counts) == kinds
        assert max(abs(n - mean) for n in counts.values()) < 5 * mean**0.5
    assert {d.name for d in draws} == {*OPERATIONS}
    assert {d.magnitude for d in draws} == {*range(15)}
    assert {d.sign for d in draws} == {1, -1}
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


def test_every_draw_is_applied_in_turn(monkeypatch):
    raug = RAug(num_ops=3)
    chosen = [Draw('Invert', 0), Draw('Solarize', 5), Draw('Brightness', 14)]
    monkeypatch.setattr(raug, 'draws', lambda: chosen)
    inverted = 255 - image().astype(int)
    solarized = np.where(inverted < 128, inverted, 255 - inverted)
    assert (raug({'img': image()
                  })['img'] == np.minimum(np.floor(solarized * 2.62),
                                          255)).all()


def test_channels_are_blue_green_red(monkeypatch):
    raug = RAug()
    # Colour weighs channels differently, a cutout fills them differently.
    chosen = [Draw('Color', 0), Draw('Cutout', 1, centre=(0.5, 0.5))]
    monkeypatch.setattr(raug, 'draws', lambda: chosen)
    bgr = np.zeros((20, 26, 3), np.uint8)
    bgr[..., 0] = 200  # blue, which weighs little in a grey image
    out = raug({'img': bgr})['img']
    assert out[10, 13].tolist() == [113, 122, 125]
    grey = 0.114 * 200
    assert np.abs(out[0, 0] -
                  [0.9 * grey + 20, 0.9 * grey, 0.9 * grey]).max() <= 1


@pytest.mark.parametrize('name', OPERATIONS)
def test_shape_and_type_stay_and_the_input_too(name, monkeypatch):
    raug = RAug()
    monkeypatch.setattr(raug, 'draws', lambda: [Draw(name, 14)])
    given = image()
    results = raug({'img': given, 'gt_label': 3})
    out = results['img']
    assert out.shape == given.shape and out.dtype == np.uint8
    assert out.flags.c_contiguous and out.flags.owndata
    assert (given == image()).all() and results['gt_label'] == 3


@pytest.mark.parametrize('value', [0, -1, 1.5, '2', None, True])
def test_counts_must_be_whole_numbers(value):
    for name in ('num_ops', 'num_magnitudes'):
        with pytest.raises(ValueError, match=f'{name} must be a whole number'):
            RAug(**{name: value})


@pytest.mark.parametrize(
    'wrong',
    [image().astype(np.float32),
     image(shape=(5, 5)),
     image(shape=(5, 5, 4))])
def test_other_images_are_refused(wrong):
    with pytest.raises(InputError, match='uint8 of shape'):
        RAug()({'img': wrong})
