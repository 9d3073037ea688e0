"""Data sets of image files, in folders or by lists."""
from __future__ import annotations

import logging
import os
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import cv2
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.logging import print_log

from mmcls_repmlp import host
from mmcls_repmlp.host import DATASETS, expanduser
from repmlp_lite.errors import ConfigError, first_few, option
from repmlp_lite.image_files import FORMATS, files_below, is_hidden

from .annotations import read_annotations, read_lines


class FoldersOfImages:
    """Mixin for the host's data sets of image files.

    - Hidden folders are no classes, and nothing in them is an image.
    - Every format that the installed OpenCV reads is read; what is left out
      is counted and named.
    - ``classes`` that name the subfolders give these their labels, missing
      ones included. Other ``classes`` are names for showing: as in the host,
      one for every subfolder, in their order.
    - Annotation files may have a byte order mark, and lines that cannot be
      understood are named.

    Args:
        part: 'train' or 'val' to take only that part of the images, see
            :func:`held_out`. Defaults to None: all of them.
        val_share: Share of every class that 'val' has. Defaults to 0.2.
        kwargs: Arguments of the data set; ``extensions`` defaults to
            :func:`readable_suffixes`.
    """

    CLASSES: Any
    ann_file: str
    extensions: tuple[str, ...]
    img_prefix: str
    is_valid_file: Callable[[str], bool]
    _metainfo: dict[str, Any]

    def __init__(self,
                 *args: Any,
                 part: str | None = None,
                 val_share: float = 0.2,
                 **kwargs: Any) -> None:
        if part not in (None, 'train', 'val'):
            raise ConfigError(f'part must be train or val, but is {part!r}')
        self.part, self.val_share = part, val_share
        kwargs.setdefault('extensions', readable_suffixes())
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images as dicts of ``img_path`` and ``gt_label``.

        Raises:
            ConfigError: If annotations or ``classes`` cannot be understood.
            RuntimeError: If there is no image.
        """
        if not getattr(self, 'with_label', True):  # for training without any
            return super().load_data_list()  # type: ignore[misc]
        if self.ann_file:
            samples = read_annotations(self.ann_file, len(self.CLASSES or ()))
        else:
            samples = self._find_samples()
        if self.part is not None:
            held = held_out(samples, self.val_share)
            samples = [
                sample for sample, is_held in zip(samples, held)
                if is_held is (self.part == 'val')
            ]
            if not samples:
                raise ConfigError(
                    f'no class of {self.img_prefix!r} has two images, so that '
                    'none can be held out to validate: add images, or a '
                    f'folder val, or pass {option("no_validate")}')
        return [
            dict(
                img_path=self._backend.join_path(self.img_prefix, name),
                gt_label=label) for name, label in samples
        ]

    @property
    def _backend(self) -> Any:
        return get_file_backend(self.img_prefix, enable_singleton=True)

    def _find_samples(self) -> list[tuple[str, int]]:
        labels = self._labels(self._list('', list_file=False))
        paths = [
            f'{folder}/{file}' for folder in labels
            for file in self._files(folder)
        ]
        images = [(path, labels[path.split('/')[0]])
                  for path in filter(self.is_valid_file, paths)]
        left_out = [
            *filter(self.is_valid_file, self._list('', list_dir=False)),
            *(path for path in paths if not self.is_valid_file(path))
        ]
        self._report(labels, images, left_out)
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(labels)
        self.folder_to_idx = labels
        return images

    def _list(self, folder: str, **options: bool) -> list[str]:
        paths = self._backend.list_dir_or_file(
            self._backend.join_path(self.img_prefix, folder), **options)
        return sorted(
            path for path in paths
            if not any(map(is_hidden,
                           path.replace('\\', '/').split('/'))))

    def _files(self, folder: str) -> list[str]:
        if not isinstance(self._backend, LocalBackend):
            return self._list(folder, list_dir=False, recursive=True)
        # mmengine passes over broken links, which are unreadable images.
        top = self._backend.join_path(self.img_prefix, folder)
        return sorted(os.path.relpath(path, top) for path in files_below(top))

    def _labels(self, names: Sequence[str]) -> dict[str, int]:
        classes = [str(name) for name in self.CLASSES or ()]
        unknown = [name for name in names if name not in classes]
        if not classes or len(unknown) == len(names) == len(classes):
            return {name: label for label, name in enumerate(names)}
        if unknown or len(set(classes)) < len(classes):
            raise ConfigError(
                f'{len(unknown)} of the {len(names)} subfolders of '
                f'{self.img_prefix!r} ({first_few(unknown)}) are none of the '
                f'{len(classes)} classes given, or these have a name twice: '
                'name the subfolders in classes, in the order of the labels')
        if classes != list(names):
            missing = [name for name in classes if name not in names]
            _warn(f'{len(names)} subfolders of {self.img_prefix!r} get the '
                  f'labels that the {len(classes)} classes given have '
                  f'(no subfolder: {first_few(missing) or "none"})')
        return {name: classes.index(name) for name in names}

    def _report(self, labels: dict[str, int], images: list[tuple[str, int]],
                left_out: list[str]) -> None:
        suffixes = ', '.join(sorted(self.extensions))
        if not images:
            raise RuntimeError(f'there is no image in its {len(labels)} '
                               f'subfolders: images end in {suffixes}')
        if left_out:
            _warn(f'{len(left_out)} files in {self.img_prefix!r} are left out '
                  f'({first_few(left_out)}): images are in subfolders and end '
                  f'in {suffixes}')
        full = {label for _, label in images}
        empty = [name for name in labels if labels[name] not in full]
        if empty:
            _warn(f'{len(empty)} subfolders of {self.img_prefix!r} hold no '
                  f'image ({first_few(empty)})')

    def _compat_classes(self, metainfo: dict | None,
                        classes: str | Sequence[str] | None) -> dict:
        if isinstance(classes, str):
            classes = read_lines(expanduser(classes))
        return super()._compat_classes(  # type: ignore[misc]
            metainfo, classes)


def _warn(message: str) -> None:
    print_log(message, 'current', logging.WARNING)


@lru_cache(maxsize=1)
def readable_suffixes() -> tuple[str, ...]:
    """Return the suffixes, as '.png', of images that OpenCV reads here."""
    # It is built with or without a format as a whole, and tells only for
    # writing whether it is there.
    return tuple(suffix for suffix, known in FORMATS.items()
                 if cv2.haveImageWriter(f'image{known}'))


def held_out(samples: Sequence[tuple[str, int]], share: float) -> list[bool]:
    """Choose the same share of every class, always the same images.

    At least one image of every class is held out, and one is not.
    """
    places: dict[int, list[int]] = defaultdict(list)
    # By name, so that the order of a listing decides nothing.
    for i in sorted(range(len(samples)), key=lambda i: samples[i][0]):
        places[samples[i][1]].append(i)
    held: set[int] = set()
    for label, indices in places.items():
        count = min(max(1, round(share * len(indices))), len(indices) - 1)
        held.update(random.Random(label).sample(indices, count))
    return [i in held for i in range(len(samples))]


@DATASETS.register_module()
class ImageFolder(FoldersOfImages, host.CustomDataset):
    """The host's CustomDataset of a folder, or of a list of images."""


@DATASETS.register_module()
class ImageNetFolder(FoldersOfImages, host.ImageNet):
    """The host's ImageNet-1k, as a folder or by a list."""


@DATASETS.register_module()
class ImageNet21kFolder(FoldersOfImages, host.ImageNet21k):
    """The host's ImageNet-21k, as a folder or by a list."""
