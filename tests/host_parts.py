"""What the tests compare with, or need besides, of the host."""
from inspect import signature

from mmcv.cnn import ConvModule

from mmcls_repmlp.host import NAME, host_module
from tests.helpers import TINY, TINY_CFG, random_model

host = host_module(NAME)
HostRepMLPNet = host_module(NAME, 'models.backbones.repmlp').RepMLPNet
HostRepMLPBlock = host_module(NAME, 'models.backbones.repmlp').RepMLPBlock
BaseDataset = host_module(NAME, 'datasets').BaseDataset
LabelSmoothLoss = host_module(NAME, 'models.losses').LabelSmoothLoss


def gt_scores(sample):
    """Scores (classes,) of blended labels."""
    blended = sample.get('gt_score', None)
    return sample.gt_label.score if blended is None else blended


# What runs convolution and norm in one, in mmcv 2.0 and from 2.1 on.
EFFICIENT, = {'fast_conv_bn_eval', 'efficient_conv_bn_eval'
              } & {*signature(ConvModule).parameters}


def host_twin(ours, **cfg):
    """The host's own tiny network with the weights of ours."""
    arch = {key: [*value] for key, value in TINY.items()}
    defaults = dict(TINY_CFG, arch=arch, reparam_conv_kernels=(1, 3))
    theirs = random_model(HostRepMLPNet, **{**defaults, **cfg})
    theirs.load_state_dict(ours.state_dict())
    return theirs
