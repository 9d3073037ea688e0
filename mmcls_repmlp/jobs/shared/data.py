"""Labelled data of a config: built, checked, and looped over once."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from repmlp_lite.console import track

from .config import data_errors, loader_config, user_errors
from .leaf_datasets import (check_annotation_files, check_samples,
                            describe_annotations)


def open_loader(cfg: Config, phase: str) -> DataLoader:
    """Build the loader of a phase, 'train', 'val' or 'test'; none is empty.

    Raises:
        ConfigError: If the config has no such loader, or its data cannot be
            found or understood.
    """
    loader = loader_config(cfg, phase)
    check_annotation_files(loader.dataset)
    with user_errors(f'the {phase} data of the config'
                     f'{describe_annotations(loader.dataset)} cannot be read'
                     ), data_errors(cfg, phase):
        built = Runner.build_dataloader(loader)
    check_samples(built.dataset, f'the {phase} data set')
    return built


def batches(loader: DataLoader) -> Iterator[dict[str, Any]]:
    """Go through a loader of images once, and show how far it is.

    Raises:
        ImageError: If an image cannot be read; names its file.
    """
    yield from track(loader, 'testing', len(loader),
                     lambda batch: len(batch['inputs']))
