"""Folders and lists of images."""
from .folders import CustomDataset, FoldersOfImages, ImageNet, ImageNet21k
from .relabel import MapLabels

__all__ = [
    'CustomDataset', 'FoldersOfImages', 'ImageNet', 'ImageNet21k', 'MapLabels'
]
