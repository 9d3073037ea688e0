import random
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import BatchSampler, DataLoader

from mmcls_repmlp.recipe.hooks import ReproducibleSeedHook, seed_loader
from mmcls_repmlp.recipe.hooks.reproducible_seed_hook import (SeededBatches,
                                                              seed_all)


class Draws:
    """A data set that draws from every generator."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return index, (random.random(), np.random.rand(), torch.rand(1).item())


def loader(sampler=DefaultSampler, seed=1, **options):
    made = DataLoader(
        Draws(),
        batch_size=3,
        collate_fn=list,
        sampler=sampler(Draws(), shuffle=True, seed=5),
        **options)
    seed_loader(made, seed)
    return made


def epoch(loader, number):
    loader.sampler.set_epoch(number)
    return [*loader]


def draws(*epochs):
    return {draw for each in epochs for batch in each for _, draw in batch}


def test_all_generators_are_seeded():
    drawn = set()
    for entropy in ((1, 2), (1, 2), (1, 3), (2, 1), (0, 1, 2)):
        seed_all(*entropy)
        drawn |= {random.random(), np.random.rand(), torch.rand(1).item()}
    assert len(drawn) == 4 * 3


@pytest.mark.parametrize('options', [
    dict(),
    dict(num_workers=1, persistent_workers=True),
    dict(num_workers=2, prefetch_factor=4)
])
def test_images_draw_the_same_whoever_loads_them(options):
    first, second = loader(), loader(**options)
    wanted = [epoch(first, number) for number in range(3)]
    # Another history: an epoch less, other draws in between.
    for number in (2, 0):
        torch.rand(3)
        assert epoch(second, number) == wanted[number]
    assert len(draws(*wanted)) == 36
    assert not draws(*wanted) & draws(epoch(loader(seed=2, **options), 0))


def test_another_process_draws_others():
    batches = BatchSampler(range(6), 3, False)
    first, second = ([
        random.random() for indices in SeededBatches(batches, 1, rank)
        for _ in indices
    ] for rank in (0, 1))
    assert len({*first, *second}) == 12


def test_without_epochs_the_place_in_the_stream_counts():
    assert len(draws(islice(loader(InfiniteSampler), 12))) == 36


def test_a_loader_is_seeded_once_and_looks_as_before():
    plain = DataLoader(Draws(), batch_size=5, drop_last=True)
    seed_loader(plain, 1)
    batches = plain.batch_sampler
    seed_loader(plain, 1)
    assert plain.batch_sampler is batches
    assert (len(plain), len(batches), batches.batch_size) == (2, 2, 5)
    assert batches.drop_last and batches.sampler is plain.sampler
    unbatched = DataLoader(Draws(), batch_size=None)
    seed_loader(unbatched, 1)
    assert unbatched.batch_sampler is None


@pytest.mark.parametrize(
    ('saved', 'done', 'left'),
    [
        (dict(batches_per_epoch=4), 9, [1, 2, 3]),
        (dict(batches_per_epoch=4), 8, [0, 1, 2, 3]),
        (dict(batches_per_epoch=4), 12, []),
        # Other data: the epoch begins again.
        (dict(batches_per_epoch=5), 9, [0, 1, 2, 3]),
        ({}, 9, [0, 1, 2, 3])
    ])
def test_an_epoch_goes_on_where_it_stopped(saved, done, left):
    data = loader()
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    loop.dataloader = data
    runner = SimpleNamespace(
        train_loop=loop, train_dataloader=data, seed=1, iter=done, epoch=2)
    whole = epoch(data, 2)
    hook = ReproducibleSeedHook()
    hook.after_load_checkpoint(runner, dict(meta=saved))
    hook.before_train_epoch(runner)
    assert [*data] == [whole[number] for number in left]
    assert epoch(data, 3) != whole and len(epoch(data, 3)) == 4
