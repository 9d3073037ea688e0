import random

import pytest

from mmcls_repmlp.training.datasets.held_out import held_out


def samples(*counts):
    return [(f'{label}/{i:03}.png', label)
            for label, count in enumerate(counts) for i in range(count)]


@pytest.mark.parametrize(('counts', 'share', 'expected'), [
    ((10, 20, 5), 0.2, [2, 4, 1]),
    ((3, 2, 1), 0.2, [1, 1, 0]),
    ((4, 4), 0.9, [3, 3]),
])
def test_the_same_share_of_every_class_is_held_out(counts, share, expected):
    every = samples(*counts)
    held = held_out(every, share)
    assert [
        sum(
            is_held for (_, label), is_held in zip(every, held)
            if label == wanted) for wanted in range(len(counts))
    ] == expected


def test_the_order_of_a_listing_decides_nothing():
    every = samples(9, 9)
    expected = {
        name
        for (name, _), held in zip(every, held_out(every, 0.3)) if held
    }
    random.Random(0).shuffle(every)
    assert {
        name
        for (name, _), held in zip(every, held_out(every, 0.3)) if held
    } == expected
    # Nor are they the first or the last of a class.
    assert expected not in ({
        f'{c}/{i:03}.png'
        for c in (0, 1)
        for i in range(3)
    }, {f'{c}/{i:03}.png'
        for c in (0, 1)
        for i in range(6, 9)})


def test_nothing_is_in_both_parts_and_nothing_lost():
    assert held_out([], 0.2) == []
    assert held_out(samples(1), 0.2) == [False]
