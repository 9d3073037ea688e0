"""Initial weights as PyTorch's own layers draw them."""
from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from mmcls_repmlp.host import WEIGHT_INITIALIZERS


@WEIGHT_INITIALIZERS.register_module()
class TorchInit:
    """Initialize a model as if it were built of plain PyTorch layers.

    So is the official RepMLPNet (github.com/DingXiaoH/RepMLP at 3eff13f,
    repmlpnet.py). As the ``init_cfg`` of a whole model it takes the place of
    its parts' own, but for ``Pretrained``, which is loaded after it.
    """

    def __call__(self, module: nn.Module) -> None:
        """Draw all weights anew; norms start at 1 and 0."""
        for part in module.modules():
            reset = getattr(part, 'reset_parameters', None)
            if callable(reset):
                reset()
            # mmengine goes on to every part that is not marked so.
            if part is not module:
                part.is_init = not any(  # type: ignore[assignment]
                    map(_loads, part.modules()))


def _loads(part: nn.Module) -> bool:
    init_cfg = getattr(part, 'init_cfg', None) or []
    cfgs = [init_cfg] if isinstance(init_cfg, Mapping) else init_cfg
    return any(cfg.get('type') == 'Pretrained' for cfg in cfgs)
