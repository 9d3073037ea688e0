"""Image files: suffixes, search in folders, and JPEG files cut off."""
from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .errors import UserError

# Suffixes, and the one by which OpenCV knows their format. Files are read by
# their content; the suffix only tells images from other files.
FORMATS = {
    suffix: names[0]
    for names in (('.jpg', '.jpeg', '.jpe',
                   '.jfif'), ('.bmp', '.dib'), ('.tiff', '.tif'), ('.png', ),
                  ('.webp', ), ('.gif', ), ('.ppm', ), ('.pgm', ), ('.pbm', ),
                  ('.pnm', ), ('.jp2', ), ('.avif', ))
    for suffix in names
}
# Photos that OpenCV may not read: they are named, not passed over.
_PHOTOS = frozenset(('.heic', '.heif', '.hif', '.jxl', '.dng', '.cr2', '.cr3',
                     '.nef', '.arw', '.raf', '.orf', '.rw2'))
# Left behind by file managers and network drives.
_LEFTOVERS = frozenset(
    ('__MACOSX', '__pycache__', '@eaDir', '@Recycle', '#recycle',
     '$RECYCLE.BIN', 'System Volume Information', 'lost+found', 'Thumbs.db',
     'ehthumbs.db', 'desktop.ini', 'Desktop.ini'))
_DIGITS = re.compile(r'(\d+)')
_JPEG, _SCAN, _END = b'\xff\xd8\xff', 0xda, b'\xff\xd9'


def is_hidden(name: str) -> bool:
    """Return whether a folder or file was not made by the user."""
    return name.startswith('.') or name in _LEFTOVERS


def find_images(places: Iterable[str | Path]) -> list[Path]:
    """List the images that files, folders and patterns name.

    A file is taken whatever its suffix. In folders, all below them, and among
    the matches of a pattern such as ``photos/*.jpg``, images are files with a
    suffix of :data:`FORMATS` or of camera photos that are not hidden. They
    come in natural order, 2 before 10, place by place.
    """
    return [image for place in places for image in _images_of(str(place))]


def _images_of(place: str) -> list[Path]:
    exists = os.path.lexists(place)
    if exists and not os.path.isdir(place):
        return [Path(place)]
    nothing = f'there is no image in folder {place!r} or below it'
    if not exists:
        if not glob.has_magic(place):
            raise UserError(f'image {place!r} does not exist: check the path')
        nothing = f'no image matches {place!r}'
    matches = [place] if exists else glob.glob(place, recursive=True)
    named = Path(place).parts
    # A pattern may match a folder and, beside it, the files in it.
    found = {
        image
        for match in map(Path, matches) if not any(
            is_hidden(part) for part in match.parts if part not in named)
        for image in map(
            Path,
            files_below(match, _refuse) if match.is_dir() else [match])
        if _is_image(image)
    }
    if not found:
        raise UserError(f'{nothing}: name files that end in .jpg, .png or '
                        'another suffix of images, or a folder of such')
    return sorted(found, key=_natural_key)


def files_below(
        folder: str | Path,
        onerror: Callable[[OSError], None] | None = None) -> Iterator[str]:
    """List the files of a folder and of all below it that are not hidden.

    They come in no order. Links are followed, but into no folder twice. A
    folder that cannot be listed is passed over, after ``onerror``.
    """
    seen: set[str] = set()
    for place, folders, files in os.walk(
            folder, onerror=onerror, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back to where it comes from
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield from (os.path.join(place, name) for name in files
                    if not is_hidden(name))


def _refuse(error: OSError) -> None:
    raise UserError(f'folder {str(error.filename)!r} cannot be read: '
                    f'{error.strerror}') from error


def _is_image(path: Path) -> bool:
    suffix = path.suffix.lower()
    if is_hidden(path.name) or suffix not in {*FORMATS, *_PHOTOS}:
        return False
    # A link to nothing is one that cannot be read. A pipe would be waited for.
    return path.is_file() or path.is_symlink()


def _natural_key(path: Path) -> tuple[list[list[str | int]], str]:
    return [[
        int(text) if i % 2 else text.casefold()
        for i, text in enumerate(_DIGITS.split(part))
    ] for part in path.parts], str(path)


def is_cut_off(content: bytes) -> bool:
    """Return whether a JPEG file ends before its image does.

    Markers cannot occur within an image (ITU-T T.81, B.1.1.2), but in a
    preview before it: such segments are stepped over.
    """
    if not content.startswith(_JPEG):
        return False
    place = len(_JPEG) - 1
    while content[place:place + 1] == b'\xff' and place + 4 <= len(content):
        marker, length = content[place + 1], content[place + 2:place + 4]
        if marker == _SCAN:
            return content.find(_END, place) < 0
        # A segment may be preceded by any number of bytes of 0xff.
        place += 1 if marker == 0xff else 2 + int.from_bytes(length, 'big')
    return place >= len(content)
