"""Fill a model with exactly its weights, or not at all."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from mmcls_repmlp.models.compatibility import explain_mismatch, find_mismatch
from repmlp_lite.errors import CheckpointError, quote_path, shorten


def check_fit(model: nn.Module, state_dict: Mapping[str, Tensor],
              source: str | Path) -> None:
    """Check that a state dict fills a model exactly; change nothing.

    Raises:
        CheckpointError: If it does not; the message names the first keys.
    """
    mismatch = find_mismatch(model.state_dict(), state_dict)
    if mismatch:
        # The remedy comes first, so that it survives.
        raise CheckpointError(
            shorten(
                f'checkpoint {quote_path(source)} does not fit the model: '
                f'{explain_mismatch(mismatch)} ({mismatch})', 300))


def load_strictly(model: nn.Module, state_dict: Mapping[str, Tensor],
                  source: str | Path) -> None:
    """Fill a model, in place, with exactly these weights, or not at all.

    Raises:
        CheckpointError: If they do not fit, see :func:`check_fit`.
    """
    check_fit(model, state_dict, source)
    model.load_state_dict(state_dict, strict=False)


def keep_dtype(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Give a model the floating dtype of weights, if they have but one."""
    dtypes = {
        value.dtype
        for value in state_dict.values() if value.is_floating_point()
    }
    if len(dtypes) == 1:
        model.to(dtype=dtypes.pop())
