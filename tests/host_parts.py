"""What the tests compare with, or need besides, of the host."""
from inspect import signature

from mmcv.cnn import ConvModule

from mmcls_repmlp.host import NAME, host_module

host = host_module(NAME)
HostRepMLPNet = host_module(NAME, 'models.backbones.repmlp').RepMLPNet
HostRepMLPBlock = host_module(NAME, 'models.backbones.repmlp').RepMLPBlock
BaseDataset = host_module(NAME, 'datasets').BaseDataset
LabelSmoothLoss = host_module(NAME, 'models.losses').LabelSmoothLoss
RandomBatchAugment = host_module(NAME, 'models').RandomBatchAugment


def gt_scores(sample):
    """Scores (classes,) of blended labels."""
    blended = sample.get('gt_score', None)
    return sample.gt_label.score if blended is None else blended


# What runs convolution and norm in one, in mmcv 2.0 and from 2.1 on.
EFFICIENT, = {'fast_conv_bn_eval', 'efficient_conv_bn_eval'
              } & {*signature(ConvModule).parameters}
