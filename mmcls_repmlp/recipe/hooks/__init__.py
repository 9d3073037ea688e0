"""Hooks of training runs: checkpoints, random numbers, the loss."""
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .check_invalid_loss_hook import CheckInvalidLossHook
from .reproducible_seed_hook import (BATCHES_PER_EPOCH_KEY,
                                     ReproducibleSeedHook, seed_loader)

__all__ = [
    'BATCHES_PER_EPOCH_KEY', 'AtomicCheckpointHook', 'CheckInvalidLossHook',
    'ReproducibleSeedHook', 'seed_loader'
]
