"""Folders and lists of images."""
from .image_folder import CustomDataset, FoldersOfImages, ImageNet, ImageNet21k
from .relabel import MapLabels

__all__ = [
    'CustomDataset', 'FoldersOfImages', 'ImageNet', 'ImageNet21k', 'MapLabels'
]
