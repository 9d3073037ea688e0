"""Learning rates that fall from the head to the stem."""
from __future__ import annotations

from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmcls_repmlp.host import OPTIM_WRAPPER_CONSTRUCTORS
from repmlp_lite.errors import ConfigError

RATE = 'layer_decay_rate'
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
        depth = {
            p: _layers_above(module, name)
            for name, p in module.named_parameters()
        }
        merged: dict[str, dict[str, Any]] = {}  # of equal options
        for group in params:
            rate: Any = group.get('lr', self.base_lr)
            group['lr'] = rate * self.rate**depth[group['params'][0]]
            options = repr(sorted({**group, 'params': None}.items()))
            merged.setdefault(options, {
                **group, 'params': []
            })['params'] += group['params']
        params[:] = merged.values()
        rates = [group['lr'] for group in params]
        print_log(
            f'{RATE}={self.rate}: {len(params)} groups, learning rates from '
            f'{min(rates):.3g} to {max(rates):.3g}',
            logger='current')


# Older configs say so. A host may have a class of this name, which stays.
if OPTIM_WRAPPER_CONSTRUCTORS.get(_FORMER_NAME) is None:
    OPTIM_WRAPPER_CONSTRUCTORS.register_module(
        _FORMER_NAME, module=LayerDecayOptimWrapperConstructor)


def _layers_above(model: nn.Module, name: str) -> int:
    backbone: Any = getattr(model, 'backbone', model)
    try:
        depth, num_layers = (
            model.get_layer_depth(name)  # type: ignore[operator]
            if hasattr(model, 'get_layer_depth') else backbone.get_layer_depth(
                name, 'backbone.'))
    except (AttributeError, NotImplementedError) as error:
        raise ConfigError(
            f'{RATE} needs a backbone with get_layer_depth, and '
            f'{type(backbone).__name__} does not have it: leave the '
            'constructor out of optim_wrapper') from error
    return num_layers - 1 - depth
