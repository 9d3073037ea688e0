import pytest

from mmcls_repmlp.models.repmlpnet.partition_grid import PartitionGrid

GRID = PartitionGrid((32, 16), (8, 4), (4, 4), 3)


def test_sizes_halve_from_stage_to_stage():
    assert GRID.sizes == [(8, 4), (4, 2), (2, 1)]


@pytest.mark.parametrize('rows', [1, 2, 5])
@pytest.mark.parametrize('cols', [1, 3])
def test_multiples_fit(rows, cols):
    GRID.check((8 * rows, 4 * cols), (32 * rows, 16 * cols))


@pytest.mark.parametrize(('size', 'nearest'), [((48, 16), '64x16|32x16'),
                                               ((32, 20), '32x16'),
                                               ((90, 28), '96x32'),
                                               ((4, 4), '32x16')])
def test_other_sizes_are_refused_with_the_nearest_that_fits(size, nearest):
    with pytest.raises(
            ValueError,
            match=f'{size[0]}x{size[1]} do not fit '
            f'img_size=32x16: .* nearest being ({nearest})$'):
        GRID.check((size[0] // 4, size[1] // 4), size)
    height, width = map(int, nearest.split('|')[0].split('x'))
    GRID.check((height // 4, width // 4), (height, width))


def test_only_what_works_is_suggested():
    grid = PartitionGrid((38, 38), (10, 10), (4, 4), 3)
    grid.check((10, 10), (38, 38))
    assert GRID.tiles_evenly and not grid.tiles_evenly
    with pytest.raises(ValueError, match='use 38x38$'):
        grid.check((19, 19), (76, 76))


def test_too_many_stages():
    with pytest.raises(ValueError, match='too small for 4 stages'):
        PartitionGrid((32, 16), (8, 4), (4, 4), 4)
