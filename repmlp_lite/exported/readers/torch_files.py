"""What both readers of torch's files share: operators, and running them."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

# Arithmetic and nothing else: no operator here opens files, sets state or
# makes tensors of a size of its own. What the models here consist of, and its
# nearest relatives.
OPERATORS = frozenset("""
    _assert_tensor_metadata _convolution abs adaptive_avg_pool2d add add_
    addcmul addcmul_ addmm alias avg_pool2d baddbmm batch_norm bmm cat clamp
    clamp_min clone constant_pad_nd contiguous conv2d convolution detach div
    dropout exp expand expand_as flatten flip floor_divide gelu hardsigmoid
    hardswish hardtanh layer_norm leaky_relu linalg_vector_norm linear matmul
    max_pool2d mean mm mul mul_ neg pad permute pow reciprocal relu relu_
    remainder reshape reshape_as rsqrt select sigmoid sigmoid_ silu size slice
    softmax sqrt square squeeze sub sum sym_size t tanh to transpose unsqueeze
    view view_as
""".split())


def compute_of(
    module: Callable[[torch.Tensor], torch.Tensor]
) -> Callable[[np.ndarray], np.ndarray]:
    """Make a module take and give arrays, without gradients."""

    @torch.inference_mode()
    def compute(images: np.ndarray) -> np.ndarray:
        return module(torch.from_numpy(images)).numpy()

    return compute
