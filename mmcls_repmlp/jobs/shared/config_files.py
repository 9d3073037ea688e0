"""What is wrong with a config that cannot be read, and in which file."""
from __future__ import annotations

import codecs
import traceback
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

# Some editors begin files with them; Python and mmengine do not read these.
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def explain(path: str | Path, error: BaseException) -> str:
    """Say what stopped the reading of a config; where, as far as is known.

    mmengine reads the files that ``_base_`` names one within the other, each
    from a copy, so that its errors tell neither file nor line.
    """
    if isinstance(error, RecursionError):
        return str(error)
    for fault in _faults(Path(path)):
        return fault
    cause = str(error) or type(error).__name__
    if isinstance(error, KeyError) and str(error.args[0]).isidentifier():
        cause = f'{cause} is defined nowhere'
    frames = traceback.extract_tb(error.__traceback__)
    lines = [
        frame.lineno for frame in frames
        if Path(frame.filename).suffix == '.py'
        and Path(frame.filename).absolute() == Path(path).absolute()
    ]
    return f'{cause} (line {lines[-1]})' if lines else cause


def refuse_circle(path: str | Path, above: tuple[Path, ...] = ()) -> None:
    """Refuse a config that includes itself; what else is wrong passes.

    mmengine would go round for seconds before Python stops it. ``above`` are
    the files that include the config, by default none.

    Raises:
        RecursionError: If it is one of them, or includes one.
    """
    path = Path(path).resolve()
    if path in above:
        circle = [*above[above.index(path):], path]
        raise RecursionError('it includes itself through _base_: ' +
                             ' -> '.join(file.name for file in circle))
    try:
        places = _bases(path)
    except Exception:
        return
    for place in places:
        refuse_circle(place, (*above, path))


def _faults(path: Path) -> Iterator[str]:
    try:
        places = _bases(path)
    except Exception as error:
        yield _told(path, error)
        return
    for place in places:
        if place.is_file():
            yield from _faults(place)
        else:
            yield (f'_base_ of {str(path)!r} names {str(place)!r}, which is '
                   'no file')


def _bases(path: Path) -> list[Path]:
    if path.suffix == '.py':
        compile(path.read_bytes(), str(path), 'exec')  # tells the line
    return [
        Path(Config._get_cfg_path(base, str(path))[0]).resolve()
        for base in Config._get_base_files(str(path))
    ]


def _told(path: Path, error: Exception) -> str:
    if path.is_file() and path.read_bytes().startswith(_MARKS):
        return (f'{str(path)!r} begins with a byte order mark: save it in '
                'UTF-8 without one')
    if isinstance(error, SyntaxError):
        return f'{error.msg} in {str(path)!r}, line {error.lineno}'
    return f'{str(path)!r}: {error}'
