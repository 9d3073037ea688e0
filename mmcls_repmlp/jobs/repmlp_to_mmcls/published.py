"""The models of the model index, to hold weights against."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from mmcls_repmlp.host.model_index import config_of, indexed_models
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_on_meta
from mmcls_repmlp.models import Arch, resolve_arch
from mmcls_repmlp.models.compatibility import Mismatch, find_mismatch


class Published(NamedTuple):
    """A published model, as its config builds it, without memory.

    Attributes:
        name: Name in the model index.
        config: Its config, of the training or the deploy form, as one would
            type it.
        weights: Its state dict, of shapes alone.
    """
    name: str
    config: Path
    weights: Mapping[str, Tensor]


def published_models(backbone: str,
                     deploy: bool,
                     arch: Arch | None = None) -> Iterator[Published]:
    """Build the published models with a type of backbone, in index order.

    Either of the deploy form or of that for training; only of the variant
    ``arch``, if any is given.
    """
    for model in indexed_models():
        config = config_of(model, deploy)
        cfg = read_config(config)
        if cfg.model.backbone.type == backbone and arch in (
                None, resolve_arch(cfg.model.backbone.get('arch', 'b'))):
            weights = build_on_meta(cfg).state_dict()
            yield Published(model.name, _as_typed(config), weights)


def describe_closest(weights: Mapping[str, Tensor], backbone: str) -> str:
    """Say which published model weights are most like, and what differs.

    The weights fit none, but have our names where they have any; only models
    with that type of backbone are looked at.
    """
    count, name, difference = min(
        ((_size(mismatch), published.name, str(mismatch))
         for deploy in (False, True)
         for published in published_models(backbone, deploy)
         if (mismatch := find_mismatch(published.weights, weights))),
        key=lambda candidate: candidate[0],
        default=(0, 'none', ''))
    if count >= len(weights) / 2:
        return f'closest is {name}, but most entries differ from its own'
    return (f'closest is {name}, which differs in {count} of {len(weights)} '
            f'entries: {difference}')


def _size(mismatch: Mismatch) -> int:
    return (len(mismatch.missing) + len(mismatch.unexpected) +
            len(mismatch.misshaped))


def _as_typed(path: Path) -> Path:
    here, path = Path.cwd(), path.resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path
