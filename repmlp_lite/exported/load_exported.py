"""Exported files, run by their own runtime without the host."""
from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from repmlp_lite.errors import JobFailedError, UserError, translate

from .card import card_of, check_parts
from .readers import ExportedModel

# Runtime of each format: the package that it comes in.
RUNTIMES = {'.onnx': 'onnxruntime', '.xml': 'openvino', '.pt2': 'torch'}
_READERS = {'.onnx': 'onnx', '.xml': 'openvino', '.pt2': 'pt2'}


def check_format(path: str | Path, to_write: bool = False) -> None:
    """Raise UserError if a format is unknown, or its packages are missing."""
    suffix = Path(path).suffix
    if suffix not in RUNTIMES:
        raise UserError(f'{str(path)!r} has no suffix of a format: expected '
                        f'one of {", ".join(RUNTIMES)}')
    needed = [RUNTIMES[suffix]]
    if to_write and suffix == '.onnx':
        needed += ['onnx', 'onnxscript']
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        # Where files only run, an extra would bring more than is needed.
        what = '"mmcls_repmlp[export]"' if to_write else ' '.join(missing)
        raise UserError(f'{suffix} files need {" and ".join(missing)}: '
                        f'run pip install {what}')


def load_exported(path: str | Path,
                  exact: bool = False,
                  trust: bool = False) -> ExportedModel:
    """Load an exported file with the runtime that its suffix names.

    If its card lies beside it, the parts of the file must be those that the
    card was written with.

    Args:
        path: A file that ends in .onnx, .xml or .pt2.
        exact: Whether to compute in the precision of the file, not in
            bfloat16 as OpenVINO may. Defaults to False.
        trust: Whether code in a .pt2 file may run. Defaults to False.

    Raises:
        UserError: If a file or runtime is missing, or it needs trust.
        JobFailedError: If it cannot be read.
    """
    path = Path(path)
    check_format(path)
    if not path.is_file():
        raise UserError(f'{str(path)!r} does not exist or is not a file: '
                        'check the path')
    if card_of(path).is_file():
        check_parts(path)
    with translate(
            JobFailedError, f'{str(path)!r} cannot be read as {path.suffix}, '
            'it may be damaged or incomplete, so export it again', Exception):
        name = f'{__package__}.readers.{_READERS[path.suffix]}'
        return import_module(name).read(path, exact, trust)
