"""Folders and lists of images."""
from .annotations import clean_name
from .image_folder import (FoldersOfImages, ImageFolder, ImageNet21kFolder,
                           ImageNetFolder)
from .splits import find_parts, subfolders

__all__ = [
    'FoldersOfImages', 'ImageFolder', 'ImageNet21kFolder', 'ImageNetFolder',
    'clean_name', 'find_parts', 'subfolders'
]
