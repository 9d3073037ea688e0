"""Tensors in, tensors out: the algebra and the arithmetic, torch only."""
from .conv_to_fc import Affine, conv_to_fc, merge_convs_into_fc, pad_kernel
from .device import eager_on_cpu, is_traced, is_transformed
from .layout import for_pointwise_conv, has_many_positions
from .local_conv import local_conv
from .padding import crop_padding, pad_below_and_right
from .partition import partition, unpartition
from .pointwise_ffn import pointwise_ffn
from .resize_fc import resize_fc, resize_fc_bias
from .shareset_fc import shareset_fc

__all__ = [
    'Affine', 'conv_to_fc', 'crop_padding', 'eager_on_cpu',
    'for_pointwise_conv', 'has_many_positions', 'is_traced', 'is_transformed',
    'local_conv', 'merge_convs_into_fc', 'pad_below_and_right', 'pad_kernel',
    'partition', 'pointwise_ffn', 'resize_fc', 'resize_fc_bias', 'shareset_fc',
    'unpartition'
]
