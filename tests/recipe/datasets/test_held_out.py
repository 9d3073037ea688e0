import random

import pytest

from mmcls_repmlp.recipe.datasets.held_out import held_out


def samples(*counts):
    return [(f'{label}/{i:03}.png', label)
            for label, count in enumerate(counts) for i in range(count)]


def chosen(every, share):
    return {
        sample
        for sample, held in zip(every, held_out(every, share)) if held
    }


@pytest.mark.parametrize(('counts', 'share', 'expected'),
                         [((10, 20, 5), 0.2, [2, 4, 1]),
                          ((3, 2, 1), 0.2, [1, 1, 0]), ((4, 4), 0.9, [3, 3]),
                          ((), 0.2, [])])
def test_the_same_share_of_every_class_is_held_out(counts, share, expected):
    labels = [label for _, label in chosen(samples(*counts), share)]
    assert [labels.count(label) for label in range(len(counts))] == expected


def test_the_order_of_a_listing_decides_nothing():
    every = samples(9, 9)
    expected = chosen(every, 0.3)
    random.Random(0).shuffle(every)
    assert chosen(every, 0.3) == expected
    # Nor are they the first or the last of a class.
    last = {*every} - {*samples(6, 6)}
    assert expected not in ({*samples(3, 3)}, last)
