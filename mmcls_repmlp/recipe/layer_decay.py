"""Learning rates that fall from the head to the stem."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmcls_repmlp.host import OPTIM_WRAPPER_CONSTRUCTORS
from repmlp_lite.errors import ConfigError

RATE = 'layer_decay_rate'
_BACKBONE = 'backbone'
_FORMER_NAME = 'LearningRateDecayOptimWrapperConstructor'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Multiply every learning rate by a power of ``layer_decay_rate``.

    The power is the number of layers between the parameter and the head:
    ``rate ** (num_layers - 1 - depth)``, both by ``get_layer_depth(param_name,
    prefix)`` of the model, or else of its backbone. Parameters whose options
    are equal share one group. Frozen parameters are left out.

    Args:
        optim_wrapper_cfg: Config of the optimizer wrapper; its optimizer
            needs ``lr``.
        paramwise_cfg: Options of mmengine's default constructor, and
            ``layer_decay_rate`` in (0, 1], which defaults to 1.

    Raises:
        ConfigError: If the rate is out of range, the optimizer has no
            ``lr``, or the model has no ``get_layer_depth``.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        self.rate = self.paramwise_cfg.get(RATE, 1.)
        if type(self.rate) not in (int, float) or not 0 < self.rate <= 1:
            raise ConfigError(f'{RATE} must be a number above 0 and at most '
                              f'1, got {self.rate!r}')
        if self.base_lr is None:
            raise ConfigError(f'{RATE} needs a learning rate to decay: set '
                              'optim_wrapper.optimizer.lr')

    def add_params(self,
                   params: list[dict[str, Any]],
                   module: nn.Module,
                   prefix: str = '',
                   is_dcn_module: bool | None = None) -> None:
        """Add the parameter groups of a model to ``params``, in place."""
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:  # called by itself for a part of the model
            return
        scale = self._scales(module)
        for group in params:
            parameter, = group['params']
            rate: Any = group.get('lr', self.base_lr)
            group['lr'] = rate * scale[parameter]
        params[:] = _merge_groups(params)
        rates = [group['lr'] for group in params]
        print_log(
            f'{RATE}={self.rate}: {len(params)} groups, learning rates from '
            f'{min(rates):.3g} to {max(rates):.3g}',
            logger='current')

    def _scales(self, model: nn.Module) -> dict[nn.Parameter, float]:
        depth_of = _depth_function(model)
        scales: dict[nn.Parameter, float] = {}
        for name, parameter in model.named_parameters():
            try:
                depth, num_layers = depth_of(name)
            except NotImplementedError as error:  # of a host's classifiers
                raise _no_depths(model) from error
            scales[parameter] = self.rate**(num_layers - 1 - depth)
        return scales


# Older configs say so. A host may have a class of this name, which stays.
if OPTIM_WRAPPER_CONSTRUCTORS.get(_FORMER_NAME) is None:
    OPTIM_WRAPPER_CONSTRUCTORS.register_module(
        _FORMER_NAME, module=LayerDecayOptimWrapperConstructor)


def _depth_function(model: nn.Module) -> Callable[[str], tuple[int, int]]:
    if hasattr(model, 'get_layer_depth'):
        return model.get_layer_depth  # type: ignore[return-value]
    backbone: Any = getattr(model, _BACKBONE, model)
    if not hasattr(backbone, 'get_layer_depth'):
        raise _no_depths(model)
    return lambda name: backbone.get_layer_depth(name, f'{_BACKBONE}.')


def _no_depths(model: nn.Module) -> ConfigError:
    backbone = getattr(model, _BACKBONE, model)
    return ConfigError(
        f'{RATE} needs a backbone with get_layer_depth, and '
        f'{type(backbone).__name__} does not have it: leave the constructor '
        'out of optim_wrapper')


def _merge_groups(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join groups whose options are equal, in the order of the first."""
    options = [{**group, 'params': None} for group in groups]
    merged: dict[int, dict[str, Any]] = {}
    for group, its_own in zip(groups, options):
        first = options.index(its_own)
        merged.setdefault(first, {**group, 'params': []})
        merged[first]['params'] += group['params']
    return [*merged.values()]
