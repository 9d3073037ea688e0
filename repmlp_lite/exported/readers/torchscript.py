"""Read TorchScript files whose text is arithmetic and nothing else.

TorchScript is a language: a file may open others (``aten::save``,
``aten::from_file``), run methods while it is loaded (``__setstate__``) and
make objects of any class that was registered in C++. So its text is held
against a list first. What torch then loads is a new archive of what was
checked, written anew, as another reader of zip or of text could see more.
"""
from __future__ import annotations

import ast
import re
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import torch

from repmlp_lite.errors import UserError, option, shorten

from . import Loaded, more_than_arithmetic
from .torch_files import OPERATORS, compute_of
from .torchscript_data import check_data
from .zip_archive import Archive

_NODES = (ast.Module, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.FunctionDef,
          ast.arguments, ast.arg, ast.Return, ast.If, ast.Pass, ast.Expr,
          ast.Call, ast.keyword, ast.Attribute, ast.Name, ast.Constant,
          ast.List, ast.Tuple, ast.Subscript, ast.UnaryOp, ast.USub, ast.Load,
          ast.Store)
_FUNCTIONS = {
    'int', 'float', 'bool', 'getattr', 'annotate', 'ops.prim.NumToTensor',
    'ops.prim.RaiseException', 'ops.prim.dtype', 'torch.ne', 'torch.eq',
    *(f'torch.{name}' for name in OPERATORS)
}
_RECORDS = ('data.pkl', 'constants.pkl', 'version', '.data/version',
            'byteorder')
_METHOD = re.compile(r'forward\d*')
_STRING = re.compile(r'[\w.]*')
# torch.uint8 and torch.float32, as TorchScript counts them.
_DTYPES = {0: 'uint8', 6: 'float32'}


def read(path: Path, exact: bool, trust: bool) -> Loaded:
    """Read a TorchScript file.

    Args:
        path: The file.
        exact: Without meaning here: it computes in the file's precision.
        trust: Whether to load it unchecked.

    Returns:
        What it computes, and what it takes.

    Raises:
        UserError: If its text does more than arithmetic, or it does not say
            what images it takes.
    """
    if trust:
        return Loaded(compute_of(torch.jit.load(path, 'cpu')), None, None)
    module = torch.jit.load(_checked(path), 'cpu')
    if not hasattr(module, 'size') or not hasattr(module, 'dtype'):
        raise UserError(f'{str(path)!r} does not say what images it takes, '
                        'and with others it could give anything: export it '
                        f'again, or pass {option("trust")}')
    return Loaded(
        compute_of(module), tuple(module.size), _DTYPES[module.dtype])


def _checked(path: Path) -> BytesIO:
    clean = BytesIO()
    with Archive(path) as archive, ZipFile(clean, 'w') as written:
        classes: set[str] = set()
        for name in archive:
            if name.startswith('code/') and name.endswith('.py'):
                module = name[len('code/'):-len('.py')].replace('/', '.')
                tree = _checked_text(archive.read(name).decode(), path)
                classes |= {
                    f'{module}.{getattr(part, "name", None)}'
                    for part in tree.body
                }
                # Written anew: comments and spelling do not come with it.
                written.writestr(f'archive/{name}', ast.unparse(tree) + '\n')
        for folder in ('data', 'constants'):
            check_data(archive, folder, classes, path)
        for name in archive:
            if name in _RECORDS or name.startswith(('data/', 'constants/')):
                written.writestr(f'archive/{name}', archive.read(name))
    clean.seek(0)
    return clean


def _checked_text(text: str, path: Path) -> ast.Module:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if not isinstance(node, _NODES) or not _is_harmless(node):
            raise more_than_arithmetic(
                path,
                f'its TorchScript holds {shorten(ast.unparse(node), 60)!r}, '
                'which is not known to be arithmetic alone')
    if not all(isinstance(part, ast.ClassDef) for part in tree.body):
        raise UserError(f'{str(path)!r} was not loaded, because its '
                        'TorchScript holds more than classes')
    return tree


def _is_harmless(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        function = node.func
        return ast.unparse(function) in _FUNCTIONS or (
            isinstance(function, ast.Attribute)
            and bool(_METHOD.fullmatch(function.attr))
            and isinstance(function.value, ast.Name))
    if isinstance(node, ast.ClassDef):
        return [ast.unparse(base) for base in node.bases] == [
            'Module'
        ] and (not node.decorator_list and not node.keywords)
    if isinstance(node, ast.FunctionDef):
        return bool(_METHOD.fullmatch(node.name)) and not node.decorator_list
    if isinstance(node, ast.Attribute):  # __torch__.torch.classes: of C++
        return node.attr != 'classes'
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(_STRING.fullmatch(node.value))
    return True
