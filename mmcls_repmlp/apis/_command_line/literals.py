"""Dictionaries on the command line, which mmengine does not read."""
from __future__ import annotations

import ast
from typing import Any


def holds_dictionary(text: str) -> bool:
    """Say whether a value is a dictionary, or a list that begins with one."""
    return text.lstrip('\'"[( ').startswith(('dict(', '{'))


def read_literal(text: str) -> Any:
    """Read a value written as in a config, without running anything.

    Args:
        text: A literal of Python, in which ``dict(key=value)`` may stand for
            ``{'key': value}``. Quotes around it are ignored.

    Returns:
        The value.

    Raises:
        ValueError: If it is anything else.
    """
    try:
        tree = ast.parse(text.strip('\'" '), mode='eval')
        return ast.literal_eval(_DictCalls().visit(tree))
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from error


class _DictCalls(ast.NodeTransformer):
    """Writes ``dict(key=value)`` as a literal."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace a call, if it is such a one."""
        self.generic_visit(node)
        names = [keyword.arg for keyword in node.keywords]
        if (not isinstance(node.func, ast.Name) or node.func.id != 'dict'
                or node.args or None in names):
            return node
        return ast.Dict([ast.Constant(name) for name in names],
                        [keyword.value for keyword in node.keywords])
