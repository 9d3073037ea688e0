"""Models by name, as plain PyTorch modules."""
from .classifier import Classifier
from .create_model import create_model, list_models
from .save_model import save_model

__all__ = ['Classifier', 'create_model', 'list_models', 'save_model']
