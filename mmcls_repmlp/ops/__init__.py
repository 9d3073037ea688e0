"""Tensors in, tensors out: the algebra and the arithmetic, torch only."""
from .fusion import (
                     bn_scale_shift,
                     conv_to_fc,
                     fold_scale_shift,
                     merge_convs_into_fc,
                     pad_kernel,
)
from .partition import partition, unpartition
from .shareset_fc import shareset_fc

__all__ = [
    'bn_scale_shift', 'conv_to_fc', 'fold_scale_shift', 'merge_convs_into_fc',
    'pad_kernel', 'partition', 'shareset_fc', 'unpartition'
]
