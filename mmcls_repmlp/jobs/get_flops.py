"""Count parameters and multiply-accumulates of a config's model."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmcls_repmlp.reparam import (Complexity, complexity, input_shape,
                                  reparameterize)
from repmlp_lite.console import say
from repmlp_lite.errors import UserError, option

from .shared.config import config_errors, read_config
from .shared.model import build_on_meta


def get_flops(
        config: str | Path,
        *,
        shape: Sequence[int] | None = None,
        both_forms: bool = False,
        cfg_options: Mapping[str, Any] | None = None) -> dict[str, Complexity]:
    """Count parameters and MACs of a config's model on the meta device.

    Args:
        config: Path of the config.
        shape: Height and width. Defaults to the backbone's, or 224x224.
        both_forms: Whether to count the deploy form too. Defaults to False.
        cfg_options: As of :func:`open_source`.

    Returns:
        Counts by form, 'training' or 'deploy'.

    Raises:
        UserError: If the config, its form or the shape cannot be used.
    """
    model = build_on_meta(read_config(config, cfg_options))
    deploy = getattr(model.backbone, 'deploy', False)
    if both_forms and deploy:
        raise UserError(f'config {str(config)!r} is of the deploy form: name '
                        f'the training config, or drop {option("both_forms")}')
    models = {'deploy' if deploy else 'training': model}
    if both_forms:
        with config_errors('the model cannot be merged'):
            models['deploy'] = reparameterize(model)
    size = input_shape(model, shape)
    counts = {form: complexity(model, size) for form, model in models.items()}
    say(f'one image of {size[1]}x{size[2]}; MACs are what papers call FLOPs')
    for form, count in counts.items():
        say(f'{form + " form":14}{count.params / 1e6:9.3f} M params'
            f'{count.macs / 1e9:9.3f} G MACs')
    return counts
