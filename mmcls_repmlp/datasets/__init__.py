"""Data sets and reading of images, under the host's own words."""
from .folders import CustomDataset, FoldersOfImages, ImageNet, ImageNet21k
from .loading import LoadImageFromFile
from .relabel import MapLabels

__all__ = [
    'CustomDataset', 'FoldersOfImages', 'ImageNet', 'ImageNet21k',
    'LoadImageFromFile', 'MapLabels'
]
