"""A head as wide as what the backbone gives it."""
from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mmengine.config import Config

from mmcls_repmlp.host import MODELS
from mmcls_repmlp.jobs.shared.model import build_on_meta
from mmcls_repmlp.models.backbone import MergeableBackbone

_SETTING = 'model.head.in_channels'
# They hand on as many channels as they are given.
_NECKS = (None, 'GlobalAveragePooling')


def fit_head(cfg: Config, chosen: Collection[str] = ()) -> None:
    """Let a head follow another ``arch`` or stage of the backbone.

    Args:
        cfg: The config; ``in_channels`` of its head is changed if it has one,
            and the backbone is one of this package.
        chosen: Dotted keys of settings that the user has chosen. Defaults to
            none.

    Raises:
        ConfigError: If the model cannot be built.
    """
    head, neck = cfg.model.get('head'), cfg.model.get('neck')
    if (not isinstance(head, dict) or 'in_channels' not in head
            or _SETTING in chosen or (neck or {}).get('type') not in _NECKS
            or not _is_ours(cfg.model.get('backbone'))):
        return
    backbone = build_on_meta(cfg).backbone
    last = backbone.feature_info[backbone.out_indices[-1]]
    head['in_channels'] = last['num_chs']


def _is_ours(backbone: Any) -> bool:
    kind = backbone.get('type') if isinstance(backbone, dict) else None
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    return isinstance(found, type) and issubclass(found, MergeableBackbone)
