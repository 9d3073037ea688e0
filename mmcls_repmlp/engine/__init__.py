"""Parts of training that mmengine asks for by name."""
from .layer_decay import LearningRateDecayOptimWrapperConstructor

__all__ = ['LearningRateDecayOptimWrapperConstructor']
