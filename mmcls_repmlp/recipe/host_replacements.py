"""Parts of the host that the tools replace by ours in a user's config."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, DistSamplerSeedHook
from mmengine.registry import Registry

from mmcls_repmlp import host
from mmcls_repmlp.host import DATASETS, DEFAULT_SCOPE, HOOKS, NAME, TRANSFORMS

from .datasets import ImageFolder, ImageNet21kFolder, ImageNetFolder
from .hooks import AtomicCheckpointHook, ReproducibleSeedHook
from .transforms import LoadImageStrict

# Registry, class of the host, and our subclass of it.
HOST_REPLACEMENTS: tuple[tuple[Registry, type, type], ...] = (
    (DATASETS, host.CustomDataset, ImageFolder),
    (DATASETS, host.ImageNet, ImageNetFolder),
    (DATASETS, host.ImageNet21k, ImageNet21kFolder),
    (TRANSFORMS, LoadImageFromFile, LoadImageStrict),
    (HOOKS, CheckpointHook, AtomicCheckpointHook),
    (HOOKS, DistSamplerSeedHook, ReproducibleSeedHook),
)
_SCOPES = (DEFAULT_SCOPE, NAME)


def replace_host_parts(cfg: Config) -> None:
    """Replace the host's classes by :data:`HOST_REPLACEMENTS`, in place.

    They are found at any depth and under any name, and among the hooks that
    mmengine adds by default. A hook that is set to None stays off. Configs and
    settings of another scope are left alone.
    """
    if cfg.get('default_scope') not in _SCOPES:
        return
    cfg.default_hooks = {
        'sampler_seed': dict(type='DistSamplerSeedHook'),
        'checkpoint': dict(type='CheckpointHook', interval=1),
        **(cfg.get('default_hooks') or {})
    }
    for settings in cfg.values():
        _replace(settings)


def _replace(settings: Any) -> None:
    if isinstance(settings, Mapping):
        if settings.get('_scope_', NAME) not in _SCOPES:
            return
        ours = _our_name(settings.get('type'))
        if ours is not None:
            settings['type'] = ours  # type: ignore[index]
        settings = [*settings.values()]
    if isinstance(settings, (list, tuple)):
        for value in settings:
            _replace(value)


def _our_name(kind: Any) -> str | None:
    for registry, theirs, ours in HOST_REPLACEMENTS:
        if isinstance(kind, str) and kind.endswith(theirs.__name__):
            kind = registry.get(kind)
        if kind is theirs:
            return ours.__name__
    return None
