"""Handwritten digits of scikit-learn."""
from __future__ import annotations

from typing import Any


def load_digits() -> Any:
    """Load the digits as scikit-learn gives them.

    Raises:
        UserError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        from repmlp_lite.errors import UserError
        raise UserError(
            'the digits come with scikit-learn, which is not '
            'installed: run pip install "mmcls_repmlp[demo]"') from error
    return load_digits()
