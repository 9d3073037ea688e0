import torch
from torchcam import methods

from mmcls_repmlp.models import ARCH_ZOO
from mmcls_repmlp.models.resmlp.resmlp import ARCHS as RESMLPS
from repmlp_lite.command_line import choices


def test_the_variants_are_all_there_are():
    assert choices.ARCHS == (*ARCH_ZOO, *RESMLPS)


def test_methods_and_precisions_are_those_of_the_libraries():
    assert {*choices.CAM_METHODS.values()} <= {*vars(methods)}
    for name in choices.PRECISIONS.values():
        assert isinstance(getattr(torch, name), torch.dtype)
