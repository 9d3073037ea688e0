import pytest
from torch import nn

import mmcls_repmlp.models  # noqa: F401  (registers the backbone)
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.reparam import input_shape

CIFAR = dict(
    type='RepMLPCifarNet', in_channels=2, img_size=(16, 32), channels=(8, ))


def classifier(**backbone):
    return MODELS.build(dict(type='ImageClassifier', backbone=backbone))


def test_a_model_of_ours_states_its_size():
    model = classifier(**CIFAR)
    assert input_shape(model) == (2, 16, 32)
    assert input_shape(model.backbone) == (2, 16, 32)
    assert input_shape(
        MODELS.build(dict(type='AverageClsScoreTTA',
                          module=model))) == (2, 16, 32)


def test_another_size_may_be_given():
    assert input_shape(classifier(**CIFAR), (8, 9)) == (2, 8, 9)


@pytest.mark.parametrize('backbone', [
    nn.Identity(),
    nn.Conv2d(3, 4, 1),
])
def test_a_model_without_a_size_takes_224_pixels(backbone):
    assert input_shape(backbone) == (3, 224, 224)


def test_one_number_is_the_side_of_a_square():
    model = nn.Conv2d(1, 4, 1)
    model.img_size = 32
    assert input_shape(model) == (1, 32, 32)
