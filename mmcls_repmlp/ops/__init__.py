"""Pure functions of tensors: the algebra and the arithmetic, torch only."""
from .conv_to_fc import Affine, conv_to_fc, merge_convs_into_fc, pad_kernel
from .device import has_active_mode, is_eager_on_cpu, is_traced, is_transformed
from .local_conv import local_conv
from .moments import Moments, is_cheap_to_measure, linear_statistics, moments
from .partition import (crop_padding, pad_below_and_right, partition,
                        unpartition)
from .pointwise_ffn import (fast_gelu, has_many_positions, is_large_hidden,
                            pointwise_ffn, run_in_chunks, to_pointwise_layout)
from .resize_fc import resize_fc, resize_fc_bias
from .shareset_fc import shareset_fc

__all__ = [
    'Affine', 'Moments', 'conv_to_fc', 'crop_padding', 'fast_gelu',
    'has_active_mode', 'has_many_positions', 'is_cheap_to_measure',
    'is_eager_on_cpu', 'is_large_hidden', 'is_traced', 'is_transformed',
    'linear_statistics', 'local_conv', 'merge_convs_into_fc', 'moments',
    'pad_below_and_right', 'pad_kernel', 'partition', 'pointwise_ffn',
    'resize_fc', 'resize_fc_bias', 'run_in_chunks', 'shareset_fc',
    'to_pointwise_layout', 'unpartition'
]
