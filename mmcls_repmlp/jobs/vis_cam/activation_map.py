"""Class activation maps: which parts of an image speak for a class.

They are computed by TorchCAM, which needs nothing that a host does not bring.

Shape letters: N batch, C channels, H W image, h w map.
"""
from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmcls_repmlp.models.backbone import MergeableBackbone
from repmlp_lite.command_line.choices import CAM_METHODS
from repmlp_lite.errors import UserError, is_out_of_memory, option

_LIBRARY = 'torchcam'


def check_method(method: str) -> None:
    """Make sure that a method is known, and TorchCAM installed.

    Raises:
        UserError: If one is not.
    """
    if method not in CAM_METHODS:
        raise UserError(f'method {method!r} is unknown: choose from '
                        f'{", ".join(CAM_METHODS)}')
    if find_spec(_LIBRARY) is None:
        raise UserError('class activation maps need torchcam, which is not '
                        'installed: run pip install "mmcls_repmlp[cam]" '
                        '(on Python 3.11 or later)')


def find_layer(model: BaseModel, name: str | None = None) -> str:
    """Find the module whose map is looked at.

    Args:
        model: A classifier.
        name: Dotted name of a module of the model, or of its backbone.
            Defaults to what gives the map that the head takes.

    Raises:
        UserError: If there is none of that name, or none is named and the
            backbone is of another package.
    """
    known, maps = dict(model.named_modules()), _maps(model)
    if name is not None:
        for found in (name, f'backbone.{name}'):
            if name and found in known:
                return found
        near = difflib.get_close_matches(name, known, 1) or maps
        raise UserError(f'the model has no module {name!r}: name one, such '
                        f'as {" or ".join(near) or next(reversed(known))}')
    if not maps:
        raise UserError('which module gives the map that the head takes is '
                        'not known of this backbone: name it with '
                        f'{option("layer", ...)}')
    return maps[model.backbone.out_indices[-1]]


def _maps(model: BaseModel) -> list[str]:
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, MergeableBackbone):
        return []
    return [f'backbone.{info["module"]}' for info in backbone.feature_info]


def activation_map(model: BaseModel,
                   images: Tensor,
                   labels: Sequence[int],
                   layer: str,
                   method: str = 'gradcam') -> Tensor:
    """Compute how much each cell of a layer's map speaks for a class.

    Args:
        model: A classifier in eval mode, in either form.
        images: What its backbone takes, of shape (N, C, H, W).
        labels: The class to explain, for each image.
        layer: Name of the module, by :func:`find_layer`.
        method: One of ``choices.CAM_METHODS``. Defaults to 'gradcam'.

    Returns:
        Shape (N, h, w), not negative, in the dtype of the images.

    Raises:
        UserError: If the module gives no map of every image, or the scores do
            not depend on it.
    """
    kind: Any = getattr(
        import_module(f'{_LIBRARY}.methods'), CAM_METHODS[method])
    # The gradient reaches the layer even if all weights before are frozen.
    images = images.detach().requires_grad_()
    with (_checked(model, layer, len(images)) as shapes, kind(model, layer) as
          extract):
        scores = model(images)
        if not shapes:
            raise UserError(f'{layer} is not called: name a module in it')
        try:
            found, = extract([*labels], scores, normalized=False)
        except RuntimeError as error:
            if error.__cause__ is None or is_out_of_memory(error.__cause__):
                raise
            raise UserError(f'the scores do not depend on what {layer} '
                            'gives: name another module') from error
    return found.detach()


def spread_over(model: BaseModel, maps: Tensor, size: Sequence[int]) -> Tensor:
    """Scale maps up to the images that they are of.

    Args:
        model: The classifier, whose backbone may have padded the images.
        maps: Shape (N, h, w).
        size: Height and width (H, W) of the images.

    Returns:
        Shape (N, H, W), between 0 and 1, the strongest place of each; all 0
        where a map is.
    """
    full = [*size]
    if getattr(model.backbone, 'pad_to_multiple', False):
        full = [
            got + -got % side
            for got, side in zip(size, model.backbone.img_size)
        ]
    large = F.interpolate(
        maps[:, None], full, mode='bilinear',
        align_corners=False)[:, 0, :size[0], :size[1]]
    strongest = large.amax((1, 2), keepdim=True)
    return large / torch.where(strongest > 0, strongest, 1)


@contextmanager
def _checked(model: nn.Module, layer: str,
             count: int) -> Iterator[list[tuple[int, ...]]]:
    """Refuse a module when it first gives something else than maps.

    Yields the shapes of what it gave so far.
    """
    shapes: list[tuple[int, ...]] = []

    def check(_: nn.Module, inputs: Any, out: Any) -> None:
        shape = tuple(out.shape) if isinstance(out, Tensor) else ()
        # Later, methods may run more images at a time.
        if not shapes and (len(shape) != 4 or shape[0] != count
                           or shape[2:] == (1, 1)):
            what = (f'something of shape {"x".join(map(str, shape))}'
                    if shape else 'no tensor')
            raise UserError(f'{layer} gives {what}, which shows no places in '
                            'each image: name another module, such as '
                            'backbone.stages.0')
        shapes.append(shape)

    handle = model.get_submodule(layer).register_forward_hook(check)
    try:
        yield shapes
    finally:
        handle.remove()
