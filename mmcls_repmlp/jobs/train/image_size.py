"""Another image size for a config: its model, pipelines and weights."""
from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier, is_main_process

from mmcls_repmlp.checkpoints import (converted_meta, resized_state_dict,
                                      state_dict_of, write_checkpoint)
from mmcls_repmlp.jobs.shared.model import build_on_meta, own_backbone
from mmcls_repmlp.recipe.image_size import scale_pipelines
from repmlp_lite.console import say
from repmlp_lite.errors import UserError, option


class ResizedWeights:
    """Weights for the image size of a config, fitted to another size.

    Args:
        before: Config with the size that the weights may be for. Defaults to
            none: all weights stay.
        after: Config with the size that is wanted.
    """

    def __init__(self,
                 before: Config | None = None,
                 after: Config | None = None) -> None:
        self.before, self.after = before, after
        self.files: dict[Path, dict[str, Any]] = {}

    def fit(self, content: Any, source: str) -> tuple[Any, str]:
        """Return a checkpoint that fits, and the path that it will have.

        Both are as before if no weight depends on the image size.
        """
        if self.before is None or self.after is None:
            return content, source
        weights = state_dict_of(content, source)
        models = build_on_meta(self.before), build_on_meta(self.after)
        resized = resized_state_dict(*models, weights)
        if all(resized[name] is weights[name] for name in weights):
            return content, source
        height, width = models[1].backbone.img_size
        path = Path(self.after.work_dir,
                    f'{Path(source).stem}_{height}x{width}.pth')
        self.files[path] = dict(
            meta=converted_meta(content), state_dict=resized)
        return self.files[path], str(path)

    def write(self) -> None:
        """Write the checkpoints that were fitted, by the first process."""
        for path, content in self.files.items():
            if is_main_process():
                write_checkpoint(content, path, force=True)
                say(f'the weights to start from are resized to {path}')
        barrier()


def set_image_size(cfg: Config, size: Sequence[int] | None) -> ResizedWeights:
    """Set the image size of the backbone and of all pipelines.

    Crops and resizes are scaled by as much as the image, so that a margin
    that is cropped stays in proportion.

    Args:
        cfg: The config, which is changed.
        size: Height and width in pixels; None for those of the config.

    Returns:
        What fits weights of the size before to the new one.

    Raises:
        UserError: If the backbone is not one of this package, or cannot have
            that size.
    """
    if size is None:
        return ResizedWeights()
    given = copy.deepcopy(cfg)
    height, width = size
    asked = option('img_size', f'{height} {width}')
    backbone = own_backbone(cfg)
    if backbone is None:
        raise UserError(f'{asked} is for the backbones of this package, and '
                        'the config has another: change its pipelines in a '
                        'config of your own')
    before = backbone.img_size
    cfg.model.backbone.img_size = height if height == width else (height,
                                                                  width)
    build_on_meta(cfg)  # which refuses sizes that do not fit
    scale_pipelines(cfg, before, (height, width))
    say(f'images have {height}x{width} pixels in place of '
        f'{before[0]}x{before[1]}: backbone and pipelines are changed')
    return ResizedWeights(given, cfg)
