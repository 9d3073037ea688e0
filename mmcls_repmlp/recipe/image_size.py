"""Scaling of the pipelines of a config to another image size."""
from __future__ import annotations

from typing import Any

from mmengine.config import Config

from .settings import iter_items

Size = tuple[int, int]
# Settings of transforms, with the order of height and width in them; of an
# edge, one number is both.
_SETTINGS = dict(
    CenterCrop=('crop_size', 'wh'),
    EfficientNetCenterCrop=('crop_size', 'edge'),
    EfficientNetRandomCrop=('scale', 'edge'),
    RandomCrop=('crop_size', 'hw'),
    RandomResizedCrop=('scale', 'hw'),
    Resize=('scale', 'wh'),
    ResizeEdge=('scale', 'edge'))


def scale_pipelines(cfg: Config, before: Size, after: Size) -> None:
    """Scale crops and resizes by as much as the image.

    So a margin that is cropped stays in proportion.

    Args:
        cfg: The config, which is changed.
        before: Height and width that the images have.
        after: Height and width that they get.
    """
    for settings in _transforms(cfg):
        kind = str(settings['type']).split('.')[-1]
        key, order = _SETTINGS.get(kind, ('', ''))
        if key in settings:
            settings[key] = _scale(settings[key], before, after, order)
            if isinstance(settings.get('padding'), int):
                settings['padding'] = round(settings['padding'] * after[0] /
                                            before[0])


def _transforms(cfg: Config) -> list[dict[str, Any]]:
    """List the steps of pipelines, also of variables that name one."""
    settings = {key: value for key, value in cfg.items() if key != 'model'}
    found = [
        value for _, value in iter_items(settings)
        if isinstance(value, dict) and value.get('type')
    ]
    return [*{id(step): step for step in found}.values()]


def _scale(value: Any, before: Size, after: Size, order: str) -> Any:
    if order == 'edge' and isinstance(value, int):
        return round(value * max(after) / max(before))
    if isinstance(value, int):
        value = (value, value)
    if order == 'wh':
        before, after = before[::-1], after[::-1]
    scaled = tuple(
        round(v * new / old) for v, new, old in zip(value, after, before))
    return scaled if len({*scaled}) > 1 else scaled[0]
