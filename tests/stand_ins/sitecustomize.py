"""A stand-in for torchvision's compiled operators, for tests only.

PyPI's torchvision is built for another torch than the small one that the
tests install, and cannot be imported beside it: its operators do not exist.
mmpretrain imports torchvision and calls none of them, so that their names are
all it needs. Python imports this file by itself if its folder is on the path.
"""
import sys
from importlib.abc import MetaPathFinder

_OPERATORS = ('nms', 'qnms', 'deform_conv2d', 'ps_roi_align', 'ps_roi_pool',
              'roi_align', 'qroi_align', 'roi_pool', '_deform_conv2d_backward',
              '_ps_roi_align_backward', '_ps_roi_pool_backward',
              '_roi_align_backward', '_roi_pool_backward')
_defined = []


class _BeforeTorchvision(MetaPathFinder):
    """Declares the operators when torchvision is about to be imported."""

    def find_spec(self, name, path=None, target=None):
        if name == 'torchvision' and not _defined:
            import torch
            library = torch.library.Library('torchvision', 'FRAGMENT')
            _defined.append(library)  # it takes them away when it is dropped
            for operator in _OPERATORS:
                library.define(f'{operator}(Tensor boxes) -> Tensor')


sys.meta_path.insert(0, _BeforeTorchvision())
