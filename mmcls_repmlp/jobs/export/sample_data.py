"""Images and pipeline of a config's test data, for exported files."""
from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import mmcv.transforms as mmcv_transforms
import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from mmcls_repmlp.host import PACKERS, TRANSFORMS, ResizeEdge, gt_labels
from mmcls_repmlp.jobs.shared.data import describe_data, open_loader
from mmcls_repmlp.recipe.transforms import LoadImageStrict
from repmlp_lite.console import say
from repmlp_lite.errors import ConfigError, option, translate
from repmlp_lite.exported.pixels import check_pipeline

Batch = tuple[np.ndarray, np.ndarray]
Step = dict[str, Any]
# A fault in one image of twenty is missed in 2 of a million draws.
SAMPLE_SIZE = 256


def labelled_batches(loader: DataLoader, model: BaseModel,
                     raw: bool) -> Iterator[Batch]:
    """Yield batches of an exported file's input images, with their labels.

    Images are (N, C, H, W): uint8 RGB if ``raw``, otherwise normalised.
    """
    for batch in loader:
        labels = np.array(
            [int(gt_labels(sample)) for sample in batch['data_samples']])
        images = batch['inputs']
        if not raw:
            images = model.data_preprocessor(batch)['inputs'].float()
        elif images.size(1) == 3:
            images = images.flip(1)  # read as BGR
        yield images.to(torch.uint8 if raw else torch.float32).numpy(), labels


def shuffle_loader(loader: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return settings of a loader with changes, shuffled by a fixed seed."""
    sampler = dict(type='DefaultSampler', shuffle=True, seed=0)
    return {**loader, 'sampler': sampler, **changes}


def sample_images(cfg: Config, model: BaseModel, raw: bool,
                  input_shape: tuple[int, int, int]) -> list[np.ndarray]:
    """Draw a fixed sample of up to 256 test images, in batches.

    Return an empty list if the test data are missing or of another size.
    """
    if cfg.get('test_dataloader') is None:
        return []
    cfg = copy.deepcopy(cfg)
    cfg.test_dataloader = shuffle_loader(cfg.test_dataloader)
    try:
        loader = open_loader(cfg, 'test')
    except ConfigError:
        return []
    say(f'      verifying on {describe_data(loader.dataset)}')
    batches: list[np.ndarray] = []
    missing = SAMPLE_SIZE
    for images, _ in labelled_batches(loader, model, raw):
        if images.shape[1:] != input_shape:
            return []
        batches.append(images[:missing])
        missing -= len(batches[-1])
        if not missing:
            break
    return batches


def record_pipeline(cfg: Config, size: tuple[int, int]) -> list[Step] | str:
    """Record the test pipeline of a config for programs without the host.

    Return a sentence that says why if it does not make images of the size
    (H, W) from image files. Raise ConfigError if a transform is unsupported.
    """
    if cfg.get('test_dataloader') is None:
        return 'the config has no test_dataloader, and so no test pipeline'
    settings = copy.deepcopy(cfg.test_dataloader.dataset.get('pipeline', []))
    init_default_scope(cfg.default_scope)
    with translate(ConfigError,
                   'the test pipeline of the config cannot be built',
                   Exception):
        steps = [TRANSFORMS.build(setting) for setting in settings]
    if not any(
            isinstance(step, mmcv_transforms.LoadImageFromFile)
            for step in steps):
        return 'the test data of the config are not image files'
    try:
        recorded = [
            _record(step) for step in steps if type(step) not in PACKERS
        ]
        check_pipeline(recorded)
    except ValueError as error:
        raise ConfigError(
            'the test pipeline of the config cannot be recorded for '
            f'predict.py ({error}): simplify it, or export without one by '
            f'{option("cfg_options", "test_dataloader=None")}') from error
    last, made = recorded[-1], None  # None if the size depends on the image
    if last['type'] == 'Resize' and not last['keep_ratio']:
        made = last['scale']
    if last['type'] == 'CenterCrop':
        made = last['crop_size']
    if made and (*made, ) != size[::-1]:
        return ('the test pipeline of the config makes images of '
                f'{made[1]}x{made[0]}, and the file takes {size[0]}x{size[1]}')
    return recorded


def _record(transform: Any) -> Step:
    kind = type(transform)
    if kind is LoadImageStrict:  # which reads the same pixels
        kind = mmcv_transforms.LoadImageFromFile
    if kind not in _ATTRIBUTES:
        raise ValueError(f'{kind.__name__} is not supported')
    for name, value in _REQUIRED.get(kind, {}).items():
        found = getattr(transform, name)
        if (found or None) != (value or None):
            raise ValueError(f'{kind.__name__} with {name}={found!r:.40} is '
                             'not supported')
    step = {name: getattr(transform, name) for name in _ATTRIBUTES[kind]}
    if kind is mmcv_transforms.Pad:
        step['pad_val'] = transform.pad_val.get('img', 0)
    return dict(
        type=kind.__name__,
        **{
            name: [*value] if isinstance(value, (list, tuple)) else value
            for name, value in step.items()
        })


_RESIZING = ('backend', 'interpolation')
# Attributes of transforms to record, and required values of others.
_ATTRIBUTES: dict[type, tuple[str, ...]] = {
    mmcv_transforms.LoadImageFromFile: ('color_type', 'imdecode_backend'),
    mmcv_transforms.Resize: ('scale', 'scale_factor', 'keep_ratio',
                             *_RESIZING),
    ResizeEdge: ('scale', 'edge', *_RESIZING),
    mmcv_transforms.CenterCrop: ('crop_size', ),
    mmcv_transforms.Pad: ('size', 'size_divisor', 'pad_to_square'),
}
_REQUIRED: dict[type, Step] = {
    mmcv_transforms.LoadImageFromFile: dict(
        to_float32=False, backend_args=None, file_client_args=None),
    mmcv_transforms.CenterCrop: dict(auto_pad=False),
    mmcv_transforms.Pad: dict(padding_mode='constant'),
}
