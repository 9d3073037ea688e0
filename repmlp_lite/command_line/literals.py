"""Values written as in a config, read and never run."""
from __future__ import annotations

import ast
from typing import Any


def holds_dictionary(text: str) -> bool:
    """Say whether a value is a dictionary, or a list that begins with one.

    mmengine reads all others on the command line, and none of these.
    """
    return text.lstrip('\'"[( ').startswith(('dict(', '{'))


def read_literal(text: str) -> Any:
    """Read a literal of Python as in a config, without running anything.

    ``dict(key=value)`` may stand for ``{'key': value}`` in it. Quotes around
    it are ignored.

    Raises:
        ValueError: If it is anything else.
    """
    try:
        return literal(ast.parse(text.strip('\'" '), mode='eval').body)
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from error


def literal(node: ast.expr) -> Any:
    """Compute what literals and calls of ``dict`` stand for, only.

    Raises:
        ValueError: If there is anything else.
    """
    return ast.literal_eval(_DictCalls().visit(node))


class _DictCalls(ast.NodeTransformer):
    """Writes ``dict({'a-b': 1}, key=value)`` as a literal."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace a call, if it is such a one."""
        self.generic_visit(node)
        keys: list[ast.expr | None] = []
        values: list[ast.expr] = []
        for part in node.args:
            if not isinstance(part, ast.Dict):
                return node
            keys += part.keys
            values += part.values
        for keyword in node.keywords:
            name = keyword.arg
            keys.append(None if name is None else ast.Constant(name))
            values.append(keyword.value)
        if (not isinstance(node.func, ast.Name) or node.func.id != 'dict'
                or None in keys):
            return node
        return ast.Dict(keys, values)
