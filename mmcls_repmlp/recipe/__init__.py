"""What training needs, under the host's own words; registered there."""
from . import datasets, hooks, transforms  # noqa: F401
from .contiguous_gradients import make_gradients_contiguous
from .cpu_amp import CpuAmpOptimWrapper
from .flip_mix import FlipCutMix, FlipMixup
from .hooks.reproducible_seed_hook import (BATCHES_PER_EPOCH_KEY,
                                           DistSamplerSeedHook, seed_loader)
from .layer_decay import LearningRateDecayOptimWrapperConstructor
from .torch_init import TorchInit
from .verification import (PairVerification, Roc, Verification, sample_pairs,
                           verify)
from .warmup_cosine import WarmupCosineLR

__all__ = [
    'BATCHES_PER_EPOCH_KEY', 'CpuAmpOptimWrapper', 'DistSamplerSeedHook',
    'FlipCutMix', 'FlipMixup', 'LearningRateDecayOptimWrapperConstructor',
    'PairVerification', 'Roc', 'TorchInit', 'Verification', 'WarmupCosineLR',
    'make_gradients_contiguous', 'sample_pairs', 'seed_loader', 'verify'
]
