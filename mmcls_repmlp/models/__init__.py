"""Modules: the RepMLP blocks and the backbones built of them."""
from .am_softmax_head import AMSoftmaxClsHead
from .arch import ARCH_ZOO, Arch, resolve_arch
from .repmlp_block import RepMLPBlock, RepMLPNetUnit
from .repmlp_cifar import RepMLPCifarNet
from .repmlp_resnet import RepMLPResNet
from .repmlp_v1 import RepMLP
from .repmlpnet import RepMLPNet

__all__ = [
    'ARCH_ZOO', 'AMSoftmaxClsHead', 'Arch', 'RepMLP', 'RepMLPBlock',
    'RepMLPCifarNet', 'RepMLPNet', 'RepMLPNetUnit', 'RepMLPResNet',
    'resolve_arch'
]
