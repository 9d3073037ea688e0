"""Random numbers that are the same whenever a training was interrupted.

States of random generators cannot be saved where worker processes load
images ahead. So nothing is drawn from a state that lives long: every image,
and every iteration, starts from a seed that is computed from the seed of the
training and from where it stands.
"""
from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine import hooks
from mmengine.dist import get_rank
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, DataLoader

from mmcls_repmlp.host import HOOKS

# What is drawn for comes first, and each has so many numbers: no two seeds
# are made of the same ones.
_EPOCH, _ITERATION, _IMAGE = range(3)
# In a checkpoint's meta: what tells the middle of an epoch from its end.
BATCHES_PER_EPOCH_KEY = 'batches_per_epoch'


def seed_all(*entropy: int) -> None:
    """Seed Python, numpy and PyTorch by a mix of whole numbers >= 0."""
    seed = _seed_cpu(entropy)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def _seed_cpu(entropy: Sequence[int]) -> int:
    # Not torch.manual_seed: it goes on to every kind of device, also in the
    # processes of a data loader, which takes longer than all of this.
    words = np.random.SeedSequence(entropy).generate_state(8, np.uint32)
    seed = int.from_bytes(words[:2].tobytes(), 'little')
    random.seed(words.tobytes())
    np.random.seed(words)
    torch.default_generator.manual_seed(seed)
    return seed


class SeededIndices(Sequence):
    """Indices of a batch; whoever goes through them draws what is theirs.

    A data loader's process takes the images one by one, here: before each,
    all generators of that process are seeded anew.

    Args:
        indices: Which samples.
        entropy: What the seeds are computed from, with the place in the
            batch.
    """

    def __init__(self, indices: Sequence[int], entropy: tuple[int,
                                                              ...]) -> None:
        self.indices = indices
        self.entropy = entropy

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: Any) -> Any:
        return self.indices[place]

    def __iter__(self) -> Iterator[int]:
        for place, index in enumerate(self.indices):
            _seed_cpu((*self.entropy, place))
            yield index


class SeededBatches:
    """A batch sampler whose batches are :class:`SeededIndices`.

    Args:
        batches: The batch sampler it stands for.
        seed: Seed of the training.
        rank: Number of the process.

    Attributes:
        skip: How many batches the next epoch leaves out at its beginning.
            Defaults to 0.
    """

    def __init__(self, batches: BatchSampler, seed: int, rank: int) -> None:
        self.batches = batches
        self.entropy = (_IMAGE, seed, rank)
        self.skip = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batches, name)

    def __iter__(self) -> Iterator[SeededIndices]:
        skip, self.skip = self.skip, 0
        # A sampler without epochs runs on through the whole training.
        epoch = getattr(self.sampler, 'epoch', 0)
        for number, indices in enumerate(self.batches):
            if number >= skip:
                yield SeededIndices(indices, (*self.entropy, epoch, number))


def seed_loader(loader: DataLoader, seed: int) -> None:
    """Let a data loader, in place, draw what its place in training says.

    Calling it again does nothing; nor does a loader without batches.

    Args:
        loader: The loader, before its first batch.
        seed: Seed of the training.
    """
    batches: Any = loader.batch_sampler
    if batches is not None and not isinstance(batches, SeededBatches):
        # A loader refuses to be changed, lest others be misled by what they
        # read of it: the indices, and their number, stay the same.
        object.__setattr__(loader, 'batch_sampler',
                           SeededBatches(batches, seed, get_rank()))


@HOOKS.register_module()
class ReproducibleSeedHook(hooks.DistSamplerSeedHook):
    """mmengine's hook, that seeds all that training draws, not the order only.

    A training that was interrupted and resumed has the weights of one that
    was not: augmentations of images, mixing of images, dropped paths are
    functions of the seed and the iteration. Also from the middle of an epoch,
    which mmengine would begin again.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.saved_length = None

    def before_train(self, runner: Runner) -> None:
        """Seed the loader, unless it has begun to load."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            seed_loader(runner.train_dataloader, runner.seed)

    def before_train_epoch(self, runner: Runner) -> None:
        """Order the samples of this epoch; leave out those it has had."""
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
        """Seed what is drawn for a whole batch, and in the model."""
        seed_all(_ITERATION, runner.seed, runner.iter)

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: dict[str, Any]) -> None:
        """Save what tells the middle of an epoch from its end."""
        checkpoint['meta'][BATCHES_PER_EPOCH_KEY] = len(
            runner.train_dataloader)

    def after_load_checkpoint(self, runner: Runner,
                              checkpoint: dict[str, Any]) -> None:
        """Take it from a checkpoint; mmengine's own have none."""
        self.saved_length = checkpoint.get('meta',
                                           {}).get(BATCHES_PER_EPOCH_KEY)
