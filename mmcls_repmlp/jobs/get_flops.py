"""Count parameters and multiply-accumulates of a config's model."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmcls_repmlp.reparam import Complexity, complexity, reparameterize
from repmlp_lite.errors import UserError, option

from .shared.config import config_errors, read_config
from .shared.model import build_on_meta

Size = tuple[int, int]


def get_flops(config: str | Path,
              shape: Size | None = None,
              both_forms: bool = False,
              cfg_options: Mapping[str, Any] | None = None,
              report: Callable[[str], None] = print) -> dict[str, Complexity]:
    """Count a classifier of a config, without any memory for its weights.

    Args:
        config: Path of the config.
        shape: Height and width of the image. Defaults to the backbone's
            ``img_size``, or 224x224.
        both_forms: Whether to count the deploy form too. Defaults to False.
        cfg_options: Settings to change in the config. Defaults to none.
        report: Called with the table. Defaults to print.

    Returns:
        Counts by form: 'training' or 'deploy'.

    Raises:
        UserError: If the config is not usable, has the deploy form only, or
            the model does not take images of this shape.
    """
    cfg = read_config(config, cfg_options)
    model = build_on_meta(cfg)
    backbone = cfg.model.get('backbone', {})
    deploy = bool(backbone.get('deploy', False))
    if both_forms and deploy:
        raise UserError(f'config {str(config)!r} is of the deploy form, which '
                        'the training form cannot be got from: give the '
                        f'training config, or drop {option("both_forms")}')
    trained = getattr(model.backbone, 'img_size', (224, 224))
    height, width = trained if shape is None else shape
    models = {'deploy' if deploy else 'training': model}
    if both_forms:
        with config_errors('the model cannot be merged'):
            models['deploy'] = reparameterize(model)
    size = (backbone.get('in_channels', 3), height, width)
    counts = {form: complexity(model, size) for form, model in models.items()}
    report(f'one image of {height}x{width}; MACs are what papers call FLOPs')
    for form, count in counts.items():
        report(f'{form + " form":14}{count.params / 1e6:9.3f} M params'
               f'{count.macs / 1e9:9.3f} G MACs')
    return counts
