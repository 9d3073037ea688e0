"""What happens beside training: checkpoints, and an eye on the loss."""
from .atomic_checkpoint_hook import CheckpointHook
from .check_invalid_loss_hook import CheckInvalidLossHook
from .checkpoint_files import checkpoint_folder, numbered_checkpoints

__all__ = [
    'CheckInvalidLossHook', 'CheckpointHook', 'checkpoint_folder',
    'numbered_checkpoints'
]
