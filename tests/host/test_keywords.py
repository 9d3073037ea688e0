import inspect

import pytest

from mmcls_repmlp import RepMLPBlock, RepMLPNet
from mmcls_repmlp.host import MODELS, build_dataset
from mmcls_repmlp.recipe.hooks.atomic_checkpoint_hook import \
    AtomicCheckpointHook


@pytest.mark.parametrize(('build', 'wrong', 'meant'), [
    (lambda **cfg: RepMLPNet('t', **cfg), 'reparam_conv_k',
     'reparam_conv_kernels'),
    (lambda **cfg: MODELS.build(dict(type='RepMLPResNet', **cfg)),
     'frozen_stage', 'frozen_stages'),
    (lambda **cfg: MODELS.build(dict(type='AMSoftmaxClsHead', **cfg)),
     'num_class', 'num_classes'),
    (lambda **cfg: build_dataset(dict(type='ImageFolder', **cfg)), 'data_rot',
     'data_root'),
    (lambda **cfg: RepMLPBlock(4, 2, 2, **cfg), 'num_shareset',
     'num_sharesets'),
    (AtomicCheckpointHook, 'intervall', 'interval'),
])
def test_misspelt_arguments_name_the_one_meant(build, wrong, meant):
    with pytest.raises(TypeError, match=f"{wrong}'; did you mean '{meant}'"):
        build(**{wrong: 1})


def test_others_are_left_to_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'zzz'"):
        RepMLPNet('t', zzz=1)
    assert 'reparam_conv_kernels' in inspect.signature(RepMLPNet).parameters
