"""Config files, read with errors that name the file and the line at fault."""
from __future__ import annotations

import codecs
import traceback
from pathlib import Path

from mmengine.config import Config

from mmcls_repmlp.host import silence_import_warnings
from repmlp_lite.errors import ConfigError, describe, translate

# Some editors begin files with them; Python and mmengine do not read these.
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_file(path: str | Path) -> Config:
    """Read a config file with all that it inherits.

    Raises:
        ConfigError: If one of these files does not exist, is malformed or
            fails, or includes itself.
    """
    if not Path(path).is_file():
        what = ('is a folder, name a file in it'
                if Path(path).is_dir() else 'does not exist: check the path')
        raise ConfigError(f'config {str(path)!r} {what}')
    files: list[Path] = []
    message = f'config {str(path)!r} cannot be read'
    try:
        with silence_import_warnings():
            _check_files(Path(path).resolve(), (), files)
            return Config.fromfile(str(path))
    except (Exception, SystemExit) as error:  # a config is code
        message += _line(error, files)
        with translate(ConfigError, message, Exception, SystemExit):
            raise


def _check_files(path: Path, above: tuple[Path, ...],
                 files: list[Path]) -> None:
    """List a config file and all below it; raise if one is malformed.

    mmengine parses copies, so that its own errors name no file, and follows
    a file that includes itself until Python stops it.
    """
    if path in above:
        names = [file.name for file in (*above[above.index(path):], path)]
        raise RuntimeError('it includes itself through _base_: '
                           f'{" -> ".join(names)}')
    if not path.is_file():
        raise FileNotFoundError(f'_base_ of {str(above[-1])!r} names '
                                f'{str(path)!r}, which is no file')
    try:
        if path.suffix == '.py':
            compile(path.read_bytes(), str(path), 'exec')
        bases = [
            Path(Config._get_cfg_path(base, str(path))[0]).resolve()
            for base in Config._get_base_files(str(path))
        ]
    except Exception as error:
        fault = f'cannot be parsed: {describe(error)}'
        if path.read_bytes().startswith(_BYTE_ORDER_MARKS):
            fault = ('begins with a byte order mark: save it in UTF-8 without '
                     'one')
        raise RuntimeError(f'{str(path)!r} {fault}') from error
    files.append(path)
    for base in bases:
        _check_files(base, (*above, path), files)


def _line(error: BaseException, files: list[Path]) -> str:
    """Name the innermost line of config files that an error came from."""
    lines = [
        f' ({str(frame.filename)!r}, line {frame.lineno})'
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() in files
    ]
    return lines[-1] if lines else ''
