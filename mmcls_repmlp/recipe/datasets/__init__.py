"""Folders and lists of images."""
from .image_folder import (FoldersOfImages, ImageFolder, ImageNet21kFolder,
                           ImageNetFolder)

__all__ = [
    'FoldersOfImages', 'ImageFolder', 'ImageNet21kFolder', 'ImageNetFolder'
]
