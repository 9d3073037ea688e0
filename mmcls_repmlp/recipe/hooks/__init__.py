"""What happens beside training: checkpoints, and an eye on the loss."""
from .check_invalid_loss_hook import CheckInvalidLossHook
from .checkpoint_hook import CheckpointHook

__all__ = ['CheckInvalidLossHook', 'CheckpointHook']
