"""Parts of training under names of our own, registered in the host."""
from . import datasets, transforms  # noqa: F401
from .contiguous_gradients import make_gradients_contiguous
from .cpu_amp import CpuAmpOptimWrapper
from .flip_mix import FlipCutMix, FlipMixup
from .hooks import BATCHES_PER_EPOCH_KEY, seed_loader
from .host_replacements import HOST_REPLACEMENTS, replace_host_parts
from .layer_decay import LayerDecayOptimWrapperConstructor
from .torch_init import TorchInit
from .verification import (PairVerification, Roc, Verification, sample_pairs,
                           verify)
from .warmup_cosine import WarmupCosineLR

__all__ = [
    'BATCHES_PER_EPOCH_KEY', 'HOST_REPLACEMENTS', 'CpuAmpOptimWrapper',
    'FlipCutMix', 'FlipMixup', 'LayerDecayOptimWrapperConstructor',
    'PairVerification', 'Roc', 'TorchInit', 'Verification', 'WarmupCosineLR',
    'make_gradients_contiguous', 'replace_host_parts', 'sample_pairs',
    'seed_loader', 'verify'
]
