"""Folders and lists of images."""
from .image_folder import (FoldersOfImages, ImageFolder, ImageNet21kFolder,
                           ImageNetFolder)
from .relabel import MapLabels

__all__ = [
    'FoldersOfImages', 'ImageFolder', 'ImageNet21kFolder', 'ImageNetFolder',
    'MapLabels'
]
