"""Steps of pipelines: reading an image, and what is done to it."""
from .load_image_strict import LoadImageStrict
from .raug import RAug

__all__ = ['LoadImageStrict', 'RAug']
