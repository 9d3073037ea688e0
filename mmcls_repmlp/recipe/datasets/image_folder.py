"""Data sets of image files, in folders or by lists."""
from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import cv2
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.logging import print_log

from mmcls_repmlp import host
from mmcls_repmlp.host import DATASETS, expanduser
from repmlp_lite.errors import (ConfigError, first_few, option, pluralize,
                                translate)
from repmlp_lite.image_files import FORMATS, files_below, is_hidden

from .annotations import clean_name, read_annotations, read_class_names
from .splits import common_subfolders, find_parts, held_out


class FoldersOfImages:
    """Mixin for the host's data sets of image files.

    - Hidden folders are no classes, and nothing in them is an image. Without
      ``classes``, folders such as train and val are not taken for classes.
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
        val_share: Share of the images that 'val' has, with ``part`` only.
            Defaults to 0.2.
        kwargs: Arguments of the data set; ``extensions`` defaults to
            :func:`readable_suffixes`.
    """

    found: int  # images, before a part of them is taken
    CLASSES: Any
    ann_file: str
    extensions: tuple[str, ...]
    img_prefix: str
    is_valid_file: Callable[[str], bool]
    _metainfo: dict[str, Any]

    def __init__(self,
                 *args: Any,
                 part: str | None = None,
                 val_share: float | None = None,
                 **kwargs: Any) -> None:
        if part not in (None, 'train', 'val'):
            raise ConfigError(f'part must be train or val, but is {part!r}')
        if part is None and val_share is not None:
            _warn(f'val_share={val_share} has no effect without part: set '
                  'part to train or val')
        self.part = part
        self.val_share = 0.2 if val_share is None else val_share
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
        self.found = len(samples)
        images = [
            dict(
                img_path=self._backend.join_path(self.img_prefix, name),
                gt_label=label) for name, label in samples
        ]
        return images if self.part is None else self._take_part(images)

    def _take_part(self, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        held = held_out([image['img_path'] for image in images],
                        self.val_share, self._backend)
        taken = [
            image for image, is_held in zip(images, held)
            if is_held is (self.part == 'val')
        ]
        if not taken:
            raise ConfigError(
                f'none of the {len(images)} images of {self.img_prefix!r} '
                f'falls to {self.part}, as the content of each decides: add '
                'images, or give those to validate in a folder val of their '
                f'own, or pass {option("no_validate")}')
        lost = {image['gt_label']
                for image in images} - {image['gt_label']
                                        for image in taken}
        if lost and self.part == 'train':  # jobs look after the others
            names = dict(enumerate(self.CLASSES or ()))
            _warn(f'of {len(lost)} classes of {self.img_prefix!r} all images '
                  'are held out and none is trained on '
                  f'({first_few([names.get(i, i) for i in sorted(lost)])})')
        return taken

    @property
    def _backend(self) -> Any:
        return get_file_backend(self.img_prefix, enable_singleton=True)

    def _find_samples(self) -> list[tuple[str, int]]:
        names = self._list('', list_file=False)
        if self.CLASSES is None and isinstance(self._backend, LocalBackend):
            _check_layout(self.img_prefix)
        labels = self._labels(sorted(names, key=clean_name))
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
            self._metainfo['classes'] = tuple(map(clean_name, labels))
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

    def _labels(self, folders: Sequence[str]) -> dict[str, int]:
        names = [clean_name(folder) for folder in folders]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(
                f'two subfolders of {self.img_prefix!r} have the same name '
                f'({first_few(twice)}), spelled in two ways that look the '
                'same: put their images into one')
        classes = [clean_name(name) for name in self.CLASSES or ()]
        unknown = [name for name in names if name not in classes]
        if not classes or len(unknown) == len(names) == len(classes):
            return {folder: label for label, folder in enumerate(folders)}
        if unknown or len(set(classes)) < len(classes):
            raise ConfigError(
                f'{len(unknown)} of the {len(names)} subfolders of '
                f'{self.img_prefix!r} ({first_few(unknown)}) are none of the '
                f'{len(classes)} classes given, or these have a name twice: '
                'name the subfolders in classes, in the order of the labels')
        if classes != names:
            missing = [name for name in classes if name not in names]
            _warn(f'{len(names)} subfolders of {self.img_prefix!r} get the '
                  f'labels that the {len(classes)} classes given have '
                  f'(no subfolder: {first_few(missing) or "none"})')
        return {
            folder: classes.index(name)
            for folder, name in zip(folders, names)
        }

    def _report(self, labels: dict[str, int], images: list[tuple[str, int]],
                left_out: list[str]) -> None:
        suffixes = ', '.join(sorted(self.extensions))
        if not images:
            raise RuntimeError(f'there is no image in its {len(labels)} '
                               f'subfolders: images end in {suffixes}')
        if left_out:
            _warn(f'left out of {self.img_prefix!r}: '
                  f'{pluralize(len(left_out), "file")} '
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
            with translate(
                    ConfigError,
                    f'the names of classes cannot be read from {classes!r}',
                    OSError):
                classes = read_class_names(expanduser(classes))
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


def _check_layout(folder: str) -> None:
    """Raise if subfolders are parts of the data; warn if they may be."""
    parts, common = find_parts(folder), common_subfolders(folder)
    if parts:
        raise ConfigError(
            f'the subfolders of {folder!r} are parts of the data '
            f'({first_few([*parts.values()])}), not classes: name one of them '
            'with the folder, or, if they are classes, name them in classes')
    if len(common) > 1:
        _warn(f'the subfolders of {folder!r} are taken for the classes, but '
              f'each has the subfolders {first_few(common)}: if these are the '
              'classes, name the folders around them train, val and test')


@DATASETS.register_module()
class ImageFolder(FoldersOfImages, host.CustomDataset):
    """The host's CustomDataset of a folder, or of a list of images."""


@DATASETS.register_module()
class ImageNetFolder(FoldersOfImages, host.ImageNet):
    """The host's ImageNet-1k, as a folder or by a list."""


@DATASETS.register_module()
class ImageNet21kFolder(FoldersOfImages, host.ImageNet21k):
    """The host's ImageNet-21k, as a folder or by a list."""
