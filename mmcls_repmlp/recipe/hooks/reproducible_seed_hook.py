"""Random numbers that do not depend on interruptions of a training run.

States of random generators cannot be saved where worker processes load images
ahead. So every image, and every iteration, starts from a seed that is computed
from the seed of the training run and its place in it.
"""
from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine import hooks
from mmengine.dist import get_rank
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, DataLoader

from mmcls_repmlp.host import HOOKS

# The first of the numbers that a seed is made of: no two seeds share all.
_EPOCH, _ITERATION, _IMAGE = range(3)
# Key of a checkpoint's meta.
BATCHES_PER_EPOCH_KEY = 'batches_per_epoch'


def seed_all(*entropy: int) -> None:
    """Seed Python, numpy and PyTorch by a mix of whole numbers >= 0."""
    # torch.manual_seed would also seed every kind of device, which is slow.
    words = np.random.SeedSequence(entropy).generate_state(8, np.uint32)
    seed = int.from_bytes(words[:2].tobytes(), 'little')
    random.seed(words.tobytes())
    np.random.seed(words)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # not so in a loader's process
        torch.cuda.manual_seed_all(seed)


@dataclass
class SeededIndices:
    """Indices of a batch, whose iteration seeds all generators before each.

    A data loader's process reads the images one by one as it iterates.
    """
    indices: Sequence[int]
    entropy: Sequence[int]  # what seeds are made of, with the place

    def __iter__(self) -> Iterator[int]:
        for place, index in enumerate(self.indices):
            seed_all(*self.entropy, place)
            yield index


class SeededBatches:
    """Batch sampler whose batches are :class:`SeededIndices`."""

    def __init__(self, batches: BatchSampler, seed: int, rank: int) -> None:
        self.batches = batches
        self.entropy = (_IMAGE, seed, rank)
        self.skip = 0  # batches that the next epoch leaves out first

    def __len__(self) -> int:
        return len(self.batches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batches, name)

    def __iter__(self) -> Iterator[SeededIndices]:
        skip, self.skip = self.skip, 0
        # A sampler without epochs is iterated once per training run.
        epoch = getattr(self.sampler, 'epoch', 0)
        for number, indices in enumerate(self.batches):
            if number >= skip:
                yield SeededIndices(indices, (*self.entropy, epoch, number))


def seed_loader(loader: DataLoader, seed: int) -> None:
    """Seed every batch of a data loader, in place; twice does no more.

    Args:
        loader: The loader, before its first batch; without batches it stays.
        seed: Seed of the training run.
    """
    batches: Any = loader.batch_sampler
    if batches is not None and not isinstance(batches, SeededBatches):
        # A loader refuses to be changed by plain assignment.
        object.__setattr__(loader, 'batch_sampler',
                           SeededBatches(batches, seed, get_rank()))


@HOOKS.register_module()
class ReproducibleSeedHook(hooks.DistSamplerSeedHook):
    """DistSamplerSeedHook that seeds all random numbers, not the order only.

    A training run that is resumed, also in the middle of an epoch, has the
    weights of one that was not interrupted: augmentations, mixing of images
    and dropped paths are functions of the seed and the iteration.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.saved_length = None

    def before_train(self, runner: Runner) -> None:
        """Seed the loader."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            seed_loader(runner.train_dataloader, runner.seed)

    def before_train_epoch(self, runner: Runner) -> None:
        """Order the samples of the epoch, and skip those it has had."""
        super().before_train_epoch(runner)
        seed_all(_EPOCH, runner.seed, runner.iter)
        loader = runner.train_dataloader
        batches: Any = loader.batch_sampler
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and isinstance(
                batches, SeededBatches) and self.saved_length == len(loader):
            batches.skip = runner.iter - runner.epoch * len(loader)

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Any = None) -> None:
        """Seed what is drawn for a batch and in the model."""
        seed_all(_ITERATION, runner.seed, runner.iter)

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: dict[str, Any]) -> None:
        """Save the length of an epoch, which tells its middle from its end."""
        checkpoint['meta'][BATCHES_PER_EPOCH_KEY] = len(
            runner.train_dataloader)

    def after_load_checkpoint(self, runner: Runner,
                              checkpoint: dict[str, Any]) -> None:
        """Take that length from a checkpoint; mmengine's own have none."""
        self.saved_length = checkpoint.get('meta',
                                           {}).get(BATCHES_PER_EPOCH_KEY)
