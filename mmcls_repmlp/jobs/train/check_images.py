"""Check that every image of a training run can be read before it starts."""
from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from typing import Any

from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.runner import Runner

from mmcls_repmlp.jobs.shared.data import leaf_datasets
from mmcls_repmlp.recipe.transforms import LoadImageStrict
from repmlp_lite.console import say, track
from repmlp_lite.errors import ImageError, JobFailedError


def check_images(runner: Runner) -> None:
    """Read every image of the train and val sets of a runner, loops built.

    Each is read in as many threads as the loader has workers, and several
    processes share them. Raise JobFailedError with those that cannot be read.
    """
    count, faults = 0, dict[str, None]()
    for phase in ('train', 'val'):
        if runner.cfg.get(f'{phase}_dataloader') is not None:
            loader = getattr(runner, f'{phase}_loop').dataloader
            for part in leaf_datasets(loader.dataset):
                for fault in _read(part, max(1, loader.num_workers)):
                    count += 1
                    faults.update({fault: None} if fault else {})
    shares = all_gather_object((count, [*faults]))
    listed = [*dict.fromkeys(fault for _, share in shares for fault in share)]
    if listed:
        more = len(listed) - 10
        raise JobFailedError(f'{len(listed)} images cannot be read: ' +
                             '; '.join(listed[:10]) +
                             (f'; and {more} more' if more > 0 else ''))
    say(f'{sum(count for count, _ in shares)} images can be read')


def _read(dataset: BaseDataset, threads: int) -> Iterator[str]:
    """Read the images of a data set; yield the fault of each, or ''."""
    reader: Any = next((step
                        for step in getattr(dataset.pipeline, 'transforms', ())
                        if isinstance(step, LoadImageFromFile)), None)
    if reader is None:
        return
    # Whatever the pipeline does where an image cannot be read.
    reader = LoadImageStrict(
        color_type=reader.color_type,
        imdecode_backend=reader.imdecode_backend,
        backend_args=reader.backend_args)

    def fault_of(place: int) -> str:
        try:
            reader(dict(img_path=dataset.get_data_info(place)['img_path']))
        except ImageError as error:
            return str(error)
        return ''

    places = range(get_rank(), len(dataset), get_world_size())
    with ThreadPool(threads) as pool:
        yield from track(
            pool.imap(fault_of, places, 16), 'checking images', len(places))
