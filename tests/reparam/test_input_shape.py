from torch import nn

import mmcls_repmlp.models  # noqa: F401  (registers the backbone)
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.reparam import input_shape

CIFAR = dict(
    type='RepMLPCifarNet', in_channels=2, img_size=(16, 32), channels=(8, ))


def test_a_model_of_ours_states_its_size():
    model = MODELS.build(dict(type='ImageClassifier', backbone=CIFAR))
    wrapped = MODELS.build(dict(type='AverageClsScoreTTA', module=model))
    for states_it in (model, model.backbone, wrapped):
        assert input_shape(states_it) == (2, 16, 32)
    assert input_shape(model, (8, 9)) == (2, 8, 9)


def test_other_models_take_224_pixels_or_a_square():
    model = nn.Conv2d(1, 4, 1)
    assert input_shape(nn.Identity()) == (3, 224, 224)
    assert input_shape(model) == (1, 224, 224)
    model.img_size = 32
    assert input_shape(model) == (1, 32, 32)
