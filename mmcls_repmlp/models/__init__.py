"""Modules: the RepMLP block and the backbone built of it."""
from .arch import ARCH_ZOO, Arch, resolve_arch
from .repmlp_block import RepMLPBlock, RepMLPNetUnit
from .repmlpnet import RepMLPNet

__all__ = [
    'ARCH_ZOO', 'Arch', 'RepMLPBlock', 'RepMLPNet', 'RepMLPNetUnit',
    'resolve_arch'
]
