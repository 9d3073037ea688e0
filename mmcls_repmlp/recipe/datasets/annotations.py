"""Lists of images and labels in text files."""
from __future__ import annotations

from mmengine import fileio

from repmlp_lite.errors import ConfigError


def read_lines(path: str) -> list[str]:
    """Read a text file, whatever its ends of lines, byte order mark or not.

    Raises:
        ConfigError: If it is no text.
    """
    try:
        text = fileio.get(path).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ConfigError(f'{path!r} is no text in UTF-8 ({error}): save it '
                          'as such') from error
    return text.replace('\r\n', '\n').removesuffix('\n').split('\n')


def read_annotations(path: str,
                     classes: int | None = None) -> list[tuple[str, int]]:
    """Read a list of images, each with its label after a space.

    Args:
        path: The file; empty lines in it are skipped.
        classes: Number of classes, if it is known. Defaults to None.

    Returns:
        Paths and labels, in the order of the file.

    Raises:
        ConfigError: If a line has not that form, or a label is none of the
            classes', and names the line; or if there is none.
    """
    found = []
    for number, line in enumerate(read_lines(path), 1):
        words = line.rsplit(maxsplit=1)
        if not words:
            continue
        fault = _fault(words, classes)
        if fault:
            raise ConfigError(f'line {number} of {path!r}, {line[:100]!r}, '
                              f'{fault}')
        found.append((words[0].strip(), int(words[1])))
    if not found:
        raise ConfigError(f'{path!r} is empty: it lists no image')
    return found


def _fault(words: list[str], classes: int | None) -> str | None:
    if len(words) < 2:
        return 'has no label: write an image, a space and its label'
    try:
        label = int(words[1])
    except ValueError:
        return ('does not end in a label, which is a number: write an image, '
                'a space and its label')
    if label < 0 or (classes is not None and label >= classes):
        return (f'has a label that no class has: count from 0 to '
                f'{"the last class" if classes is None else classes - 1}')
    return None
