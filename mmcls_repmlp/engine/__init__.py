"""Parts of training that mmengine asks for by name."""
from .check_invalid_loss_hook import CheckInvalidLossHook
from .checkpoint_files import checkpoint_folder, numbered_checkpoints
from .checkpoint_hook import CheckpointHook
from .layer_decay import LearningRateDecayOptimWrapperConstructor
from .reproducible import LENGTH, DistSamplerSeedHook, seed_loader

__all__ = [
    'LENGTH', 'CheckInvalidLossHook', 'CheckpointHook', 'DistSamplerSeedHook',
    'LearningRateDecayOptimWrapperConstructor', 'checkpoint_folder',
    'numbered_checkpoints', 'seed_loader'
]
