"""Lists of images and labels in text files."""
from __future__ import annotations

from unicodedata import normalize

from mmengine import fileio

from repmlp_lite.errors import ConfigError


def read_lines(path: str) -> list[str]:
    """Read a text file with any line ends, with or without byte order mark."""
    try:
        text = fileio.get(path).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ConfigError(f'{path!r} is no text in UTF-8 ({error}): save it '
                          'as such') from error
    return text.replace('\r\n', '\n').removesuffix('\n').split('\n')


def read_class_names(path: str) -> list[str]:
    """Read a name from each line; empty lines may only be at the end.

    Raises:
        ConfigError: If a line before the end, which is named, is empty.
    """
    names = [clean_name(line) for line in read_lines(path)]
    while names and not names[-1]:
        names.pop()
    if '' in names:
        raise ConfigError(f'line {names.index("") + 1} of {path!r} is empty, '
                          'and would be the name of a class: remove it')
    return names


def clean_name(name: object) -> str:
    """Make names equal that look the same, however systems spell them.

    Accents are composed (NFC), and spaces around the name removed.
    """
    return normalize('NFC', str(name)).strip()


def read_annotations(path: str, classes: int = 0) -> list[tuple[str, int]]:
    """Read a list of images, each with its label after a space.

    Args:
        path: The file; empty lines in it are skipped.
        classes: Number of classes. Defaults to 0: unknown.

    Raises:
        ConfigError: If there is no line, or one, which is named, has another
            form or a label that no class has.
    """
    found = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        image, *label = line.rsplit(maxsplit=1)
        if not label or not label[0].removeprefix('-').isdecimal():
            fault = 'does not end in a label: write an image, a space and it'
        elif not 0 <= int(label[0]) < (classes or float('inf')):
            fault = ('has a label that no class has: count from 0 to '
                     f'{classes - 1 if classes else "the last class"}')
        else:
            found.append((image.strip(), int(label[0])))
            continue
        raise ConfigError(
            f'line {number} of {path!r}, {line[:100]!r}, {fault}')
    if not found:
        raise ConfigError(f'{path!r} is empty: it lists no image')
    return found
