"""Print the likeliest classes of images, by an exported file.

Needs the file's runtime, numpy, Pillow and, where the config reads or resizes
images by it, opencv; neither mmcls nor mmengine.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

_PACKAGE = 'mmcls_repmlp'
_PIP = {'PIL': 'pillow'}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'artefact', help='exported file, with its .json beside it')
    parser.add_argument('images', nargs='+', metavar='image')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='let code in the file run, such as TorchScript that does more '
        'than arithmetic; default: such files are refused')
    args = parser.parse_args(argv)
    if not _without_mmcls():
        parser.error(f'{_PACKAGE} is not installed: run pip install '
                     f'{_PACKAGE}')
    from mmcls_repmlp.apis._command_line.boundary import outcome
    return outcome(parser.prog, lambda: _predict(args))


def _predict(args: argparse.Namespace) -> None:
    from mmcls_repmlp.errors import UserError
    try:
        from mmcls_repmlp.apis.predict import predict
    except ImportError as error:
        name = str(error.name).split('.')[0]
        raise UserError(f'{name} is not installed: run pip install '
                        f'{_PIP.get(name, name)}') from error
    predict(args.artefact, args.images, trust=args.trust)


def _without_mmcls() -> bool:
    """Make the light parts of the package importable, without the heavy ones.

    Importing the package itself would import mmcls. It is the one of this
    clone, or else the one that is installed; without any the answer is False.
    """
    if sys.modules.get(_PACKAGE) is not None:
        return True
    folder = Path(__file__).resolve().parents[2] / _PACKAGE
    if not folder.is_dir():
        spec = find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            return False
        folder = Path(spec.origin).parent
    for name, path in ((_PACKAGE, folder), (f'{_PACKAGE}.deploy',
                                            folder / 'deploy')):
        module = ModuleType(name)
        module.__path__ = [str(path)]
        sys.modules[name] = module
    return True


if __name__ == '__main__':
    sys.exit(main())
