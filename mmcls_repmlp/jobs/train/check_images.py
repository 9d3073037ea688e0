"""Reading of every image of a training before it starts."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmcls_repmlp.jobs.shared.leaf_datasets import leaf_datasets
from mmcls_repmlp.recipe.transforms import LoadImageStrict
from repmlp_lite.console import tracked
from repmlp_lite.errors import ImageError, JobFailedError

_NAMED = 10
_BATCH = 16


def check_images(runner: Runner) -> None:
    """Read every image of the train and val sets of a runner.

    Each is read as its data set's pipeline reads it, by as many workers as
    the loader has, in every one of several processes a share. Data sets that
    hold pixels have none to be read.

    Args:
        runner: The runner, its loops for training and validation built.

    Raises:
        JobFailedError: If images cannot be read; counts and names them.
    """
    faults: list[str] = []
    count = 0
    for phase in ('train', 'val'):
        if runner.cfg.get(f'{phase}_dataloader') is None:
            continue
        loader = getattr(runner, f'{phase}_loop').dataloader
        for part in leaf_datasets(loader.dataset):
            images = _Images(part)
            count += len(images)
            faults += _faults(images, loader.num_workers)
    faults = list(
        dict.fromkeys(
            fault for share in all_gather_object(faults) for fault in share))
    if faults:
        more = len(faults) - _NAMED
        raise JobFailedError(f'{len(faults)} images cannot be read: ' +
                             '; '.join(faults[:_NAMED]) +
                             (f'; and {more} more' if more > 0 else ''))
    print_log(f'{count} images can be read', 'current')


class _Images(BaseDataset):
    """Gives what is wrong with each of a data set's images; '' if nothing."""

    def __init__(self, dataset: BaseDataset) -> None:
        self.dataset = dataset
        steps = getattr(dataset.pipeline, 'transforms', ())
        self.reader: Any = next(
            (step for step in steps if isinstance(step, LoadImageFromFile)),
            None)
        self.places: Sequence[int] = range(
            get_rank(), len(dataset),
            get_world_size()) if self.reader is not None else ()

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> str:
        path = self.dataset.get_data_info(self.places[index])['img_path']
        reader = self.reader
        if reader.ignore_empty or not isinstance(reader, LoadImageStrict):
            reader = LoadImageStrict(
                color_type=reader.color_type,
                imdecode_backend=reader.imdecode_backend,
                backend_args=reader.backend_args)
        try:
            reader(dict(img_path=path))
        except ImageError as error:
            return str(error)
        return ''


def _faults(images: _Images, workers: int) -> Iterator[str]:
    if not len(images):
        return
    loader: DataLoader = DataLoader(
        images, _BATCH, num_workers=workers, collate_fn=list)
    for batch in tracked(loader, 'checking images', len(loader), len):
        yield from filter(None, batch)
