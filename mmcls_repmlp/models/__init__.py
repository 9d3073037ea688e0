"""Modules: the RepMLP block and the backbone built of it."""
from .am_softmax_head import AMSoftmaxClsHead
from .arch import ARCH_ZOO, Arch, resolve_arch
from .repmlp_block import RepMLPBlock, RepMLPNetUnit
from .repmlpnet import RepMLPNet

__all__ = [
    'ARCH_ZOO',
    'AMSoftmaxClsHead',
    'Arch',
    'RepMLPBlock',
    'RepMLPNet',
    'RepMLPNetUnit',
    'resolve_arch'
]
