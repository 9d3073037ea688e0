import pytest

from mmcls_repmlp.models.repmlp.resnet_arch import (resnet_stages,
                                                    resolve_depths)


def test_depths():
    assert resolve_depths(50) == (3, 4, 6, 3)
    assert resolve_depths([1, 2]) == (1, 2)
    for wrong in (18, (), (1, 0), 'ab', 5.):
        with pytest.raises(ValueError, match='depth'):
            resolve_depths(wrong)


def test_stages_of_resnet_50():
    stages = resnet_stages((3, 4, 6, 3), (224, 224), 64)
    assert [s.channels for s in stages] == [256, 512, 1024, 2048]
    assert [s.stride for s in stages] == [1, 2, 2, 2]
    assert [s.map_size for s in stages] == [(56, 56), (28, 28), (14, 14),
                                            (7, 7)]


def test_maps_are_halved_rounding_up():
    stages = resnet_stages((1, 1, 1), (97, 33), 2)
    assert [s.map_size for s in stages] == [(25, 9), (13, 5), (7, 3)]
