"""Test images of a config, as an exported file takes them."""
from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch.utils.data import DataLoader

from mmcls_repmlp.host import gt_labels
from mmcls_repmlp.jobs.shared.data import open_loader
from repmlp_lite.errors import ConfigError

Batch = tuple[np.ndarray, np.ndarray]
# A fault that one image in twenty shows is missed in 2 of a million draws.
COUNT = 256


def labelled_batches(loader: DataLoader, model: BaseModel,
                     raw: bool) -> Iterator[Batch]:
    """Go through labelled images.

    Args:
        loader: Of a test data set.
        model: The classifier, for its data preprocessor.
        raw: Whether the file takes uint8 RGB images, not normalised ones.

    Yields:
        Images (N, C, H, W) as the file takes them, and labels (N, ).

    Raises:
        ImageError: If an image cannot be read.
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


def some_images(cfg: Config, model: BaseModel, raw: bool,
                input_shape: tuple[int, int, int]) -> list[np.ndarray]:
    """Draw images of the test data, always the same.

    Args:
        cfg: The config.
        model: The classifier, for its data preprocessor.
        raw: As of :func:`labelled_batches`.
        input_shape: Shape (C, H, W) of an image.

    Returns:
        Batches of them; none if the test data are not here, or of another
        size.

    Raises:
        ImageError: If an image cannot be read.
    """
    if cfg.get('test_dataloader') is None:
        return []
    cfg = copy.deepcopy(cfg)
    cfg.test_dataloader.sampler = dict(
        type='DefaultSampler', shuffle=True, seed=0)
    try:
        loader = open_loader(cfg, 'test')
    except ConfigError:
        return []
    found, count = [], 0
    for images, _ in labelled_batches(loader, model, raw):
        if images.shape[1:] != tuple(input_shape):
            return []
        found.append(images[:COUNT - count])
        count += len(found[-1])
        if count == COUNT:
            break
    return found
