"""Modules: the RepMLP blocks and the backbones built of them."""
from .repmlp.am_softmax_head import AMSoftmaxClsHead
from .repmlp.repmlp import RepMLP
from .repmlp.repmlp_cifar import RepMLPCifarNet
from .repmlp.repmlp_resnet import RepMLPResNet
from .repmlpnet.arch import ARCH_ZOO, Arch, resolve_arch
from .repmlpnet.repmlp_block import RepMLPBlock, RepMLPNetUnit
from .repmlpnet.repmlpnet import RepMLPNet
from .resmlp.resmlp import ResMLP

__all__ = [
    'ARCH_ZOO', 'AMSoftmaxClsHead', 'Arch', 'RepMLP', 'RepMLPBlock',
    'RepMLPCifarNet', 'RepMLPNet', 'RepMLPNetUnit', 'RepMLPResNet', 'ResMLP',
    'resolve_arch'
]
