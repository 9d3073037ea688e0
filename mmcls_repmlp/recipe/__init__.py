"""What the official training needs and mmcls lacks; registered in mmcls."""
from .flip_mix import FlipCutMix, FlipMixup
from .raug import RAug
from .torch_init import TorchInit
from .warmup_cosine import WarmupCosineLR

__all__ = ['FlipCutMix', 'FlipMixup', 'RAug', 'TorchInit', 'WarmupCosineLR']
