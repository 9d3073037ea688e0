"""Locality injection by one line in a config."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmcls_repmlp.host import HOOKS
from mmcls_repmlp.models.local_layers import LocalLayer
from repmlp_lite.errors import ConfigError, translate

from .inject_locality import inject_locality


@HOOKS.register_module()
class InjectLocality(Hook):
    """Hook of a config whose model trains with convolutions beside layers.

    The commands inject them when they build the model, and merge them in
    ``repmlp reparameterize``, which gives checkpoints of the plain network.

    Args:
        layers: As of :func:`inject_locality`, by names in the classifier, such
            as ``{'backbone.*.linear_tokens': (14, 14)}``.
        kernels: As of :func:`inject_locality`.
        start: As of :func:`inject_locality`.
    """

    def __init__(self,
                 layers: Mapping[str, int | Sequence[int]] | None = None,
                 kernels: Sequence[int] = (1, 3),
                 start: str = 'as_is') -> None:
        self.layers, self.kernels, self.start = layers, kernels, start

    def inject(self, model: nn.Module) -> None:
        """Inject into a model, in place. Raise ConfigError if it cannot be."""
        with translate(ConfigError, 'InjectLocality of custom_hooks fails',
                       ValueError):
            inject_locality(
                model, self.kernels, self.layers, self.start, inplace=True)

    def before_run(self, runner: Runner) -> None:
        """Inject where another tool has built the model, before it trains."""
        model: Any = runner.model
        if any(isinstance(part, LocalLayer) for part in model.modules()):
            return
        wrapper = runner.optim_wrapper
        if is_model_wrapper(model) or not hasattr(wrapper, 'optimizer'):
            raise ConfigError('InjectLocality needs repmlp train here: this '
                              'tool has distributed the model already')
        before = {id(p) for p in model.parameters()}
        self.inject(model)
        wrapper.optimizer.add_param_group(
            dict(params=[p for p in model.parameters()
                         if id(p) not in before]))  # yapf: disable


def inject_by_config(cfg: Config, model: nn.Module) -> None:
    """Inject into a model, in place, as hooks of a config say."""
    for hook in _hooks(cfg):
        settings = {key: value for key, value in hook.items() if key != 'type'}
        InjectLocality(**settings).inject(model)


def is_injected(cfg: Config) -> bool:
    """Return whether a config injects convolutions."""
    return bool(_hooks(cfg))


def drop_injection(cfg: Config) -> None:
    """Remove the hooks that inject from a config."""
    hooks = _hooks(cfg)
    if hooks:
        cfg.custom_hooks = [
            hook for hook in cfg.custom_hooks if hook not in hooks
        ]


def has_branches(weights: Mapping[str, Tensor]) -> bool:
    """Return whether weights are of a training form with convolutions."""
    return any('.repconv' in name for name in weights)


def _hooks(cfg: Config) -> list[Any]:
    return [
        hook for hook in cfg.get('custom_hooks') or ()
        if isinstance(hook, Mapping)
        and str(hook.get('type')).split('.')[-1] == InjectLocality.__name__
    ]
