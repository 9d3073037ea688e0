"""The scope ``mmcls`` where mmpretrain is installed.

Configs say ``default_scope = 'mmcls'``, and those of other projects
``type='mmcls.RepMLPNet'``. mmengine then asks for a registry of that scope,
and for a module ``mmcls.registry``, which this one stands for.
"""
from __future__ import annotations

import sys
from typing import Any

from mmengine.registry import Registry
from mmpretrain import datasets
from mmpretrain import registry as mmpretrain_registry

_SCOPE = 'mmcls'


class MmclsRegistry(Registry):
    """Registry of mmcls' names for what one of mmpretrain's registries holds.

    Args:
        same: That registry; what is not registered here is looked up there.
    """

    def __init__(self, same: Registry) -> None:
        super().__init__(
            same.name,
            build_func=same.build_func,
            parent=same.parent,
            scope=_SCOPE)
        self.same = same
        self._imported = True  # there is no package to import from

    def get(self, key: str) -> Any:
        """Find a class; see mmengine's Registry."""
        scope, name = self.split_scope_key(key)
        if scope not in (None, _SCOPE):
            return super().get(key)
        return self._module_dict.get(name) or self.same.get(name)


_registries = {
    name: MmclsRegistry(same)
    for name, same in vars(mmpretrain_registry).items()
    if isinstance(same, Registry) and same.parent is not None
}
globals().update(_registries)  # for `from mmcls.registry import MODELS`
# Only this name, so that `import mmcls` still says that there is none.
sys.modules[f'{_SCOPE}.registry'] = sys.modules[__name__]


class _SplitByTestMode:
    """Data set whose ``test_mode`` chooses the split, as in mmcls.

    mmpretrain asks for ``split``, and would read the training images.
    """

    def __init__(self, *args: Any, test_mode: bool, **kwargs: Any) -> None:
        kwargs.setdefault('split', 'test' if test_mode else 'train')
        super().__init__(  # type: ignore[call-arg]
            *args, test_mode=test_mode, **kwargs)


# With mmcls' arguments, and as names of this module, for pickles.
for _name in ('CIFAR10', 'CIFAR100', 'CUB', 'FashionMNIST', 'MNIST'):
    globals()[_name] = _registries['DATASETS'].register_module()(
        type(_name, (_SplitByTestMode, getattr(datasets, _name)), {}))
