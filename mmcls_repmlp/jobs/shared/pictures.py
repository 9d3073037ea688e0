"""Pictures of images: their names, colours, size and fonts."""
from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import matplotlib
import mmcv
import numpy as np
from matplotlib.font_manager import (FontProperties, findfont, findSystemFonts,
                                     fontManager)
from matplotlib.ft2font import FT2Font

from repmlp_lite.console import warn
from repmlp_lite.errors import UserError, option, printable
from repmlp_lite.files import check_writable

READABLE = 224  # pixels of the shorter side of an image with text on it
_LONGEST_NAME = 200  # bytes; file systems take 255


class PictureNames:
    """Names of pictures: paths of images below a folder, each only once."""

    def __init__(self, root: str | Path) -> None:
        self.root = root
        self.given: set[str] = set()

    def of(self, path: str | Path, index: int) -> str:
        """Name the picture of an image; the index is added if it must be."""
        name = '_'.join(PurePath(os.path.relpath(path, self.root)).parts)
        name = name.encode()[-_LONGEST_NAME:].decode(errors='ignore')
        if name in self.given:  # a/b_c and a_b/c, or one image twice
            name = f'{name}_{index:06}'
        self.given.add(name)
        return f'{name}.png'


def to_picture(data: Mapping[str, Any], bgr: bool) -> np.ndarray:
    """Convert the image inside a pipeline to RGB of (H, W, 3), uint8.

    It may have one channel, or none; a ``Normalize`` step is undone.
    """
    image, norm = np.array(data['img']), data.get('img_norm_cfg')
    if norm is not None:
        image = mmcv.imdenormalize(
            image, norm['mean'], norm['std'], to_bgr=norm['to_rgb'])
    image = np.clip(np.round(image), 0, 255).astype(np.uint8)
    if image.ndim == 2 or image.shape[2] == 1:
        return mmcv.gray2rgb(image.reshape(image.shape[:2]))
    return mmcv.bgr2rgb(image) if bgr else image


def check_folder(folder: str | Path, force: bool) -> None:
    """Raise UserError if pictures cannot go to a folder, new or empty."""
    folder = Path(folder)
    check_writable(folder / 'picture', force=True)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise UserError(f'folder {str(folder)!r} is not empty: choose another '
                        f'one, or pass {option("force")} to replace pictures '
                        'in it')


@contextmanager
def fonts_for(texts: Iterable[object]) -> Iterator[tuple[str, ...]]:
    """Draw figures in the block in fonts that have all letters of some texts.

    matplotlib's own font goes first, then installed ones that have what it
    lacks. Letters that none has are boxes, which a warning says once.

    Yields:
        The families, for what names its own.
    """
    families = _families(frozenset(''.join(map(str, texts))))
    with warnings.catch_warnings(), matplotlib.rc_context(
        {'font.family': [*families]}):
        warnings.filterwarnings('ignore', 'Glyph .* missing')
        yield families


@cache
def _families(letters: frozenset[str]) -> tuple[str, ...]:
    missing = {letter for letter in letters if not letter.isspace()}
    families = [*matplotlib.rcParams['font.family']]
    for family in families:
        missing -= _letters_in(
            findfont(FontProperties(family=[family])), missing)
    if missing:
        _add_new_fonts()
    for font in fontManager.ttflist if missing else ():
        # The last resort has a box for every letter.
        if font.style == 'normal' and not font.name.startswith('Last Resort'):
            found = _letters_in(font.fname, missing)
            families += [font.name] * bool(found)
            missing -= found
    if missing:
        example = printable(''.join(sorted(missing)[:5]))
        warn(f'warning: no installed font has the letters {example!r}, which '
             'are drawn as boxes: install one that has them, for example '
             'the package fonts-noto-cjk for Chinese')
    return tuple(families)


def _letters_in(font: str, letters: set[str]) -> set[str]:
    with suppress(OSError, RuntimeError):  # a font that cannot be read
        face = FT2Font(font)
        return {c for c in letters if face.get_char_index(ord(c))}
    return set()


@cache
def _add_new_fonts() -> None:
    """Add fonts that were installed after matplotlib made its list."""
    for path in {*findSystemFonts()} - {f.fname for f in fontManager.ttflist}:
        with suppress(Exception):  # kinds that it cannot draw
            fontManager.addfont(path)
