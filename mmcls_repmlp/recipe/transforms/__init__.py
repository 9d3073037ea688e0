"""Steps of pipelines: reading an image, and what is done to it."""
from .loading import LoadImageFromFile
from .raug import RAug

__all__ = ['LoadImageFromFile', 'RAug']
