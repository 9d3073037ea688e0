"""The scope ``mmcls`` where mmpretrain is installed.

Configs say ``default_scope = 'mmcls'``, and those of other projects
``type='mmcls.RepMLPNet'``. mmengine then asks for a registry of that scope,
and for a module ``mmcls.registry`` to find it by.
"""
from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from mmengine.registry import Registry
from mmpretrain import datasets
from mmpretrain import registry as mmpretrain_registry

_SCOPE = 'mmcls'
_MODULE = f'{_SCOPE}.registry'


class MmclsRegistry(Registry):
    """mmcls' names for what stands in one of mmpretrain's registries.

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


def open_mmcls_scope() -> None:
    """Make the scope known to mmengine. A second call does nothing."""
    if _MODULE in sys.modules:
        return
    module: Any = ModuleType(_MODULE, __doc__)
    for name, value in vars(mmpretrain_registry).items():
        if isinstance(value, Registry) and value.parent is not None:
            setattr(module, name, MmclsRegistry(value))
    # Only this name, so that `import mmcls` still says that there is none.
    sys.modules[_MODULE] = module
    for dataset in (CIFAR10, CIFAR100, CUB, FashionMNIST, MNIST):
        module.DATASETS.register_module(module=dataset)


class _ByTestMode:
    """Lets ``test_mode`` choose the split, as in mmcls.

    mmpretrain asks for ``split``, and would read the training images.
    """

    def __init__(self, *args: Any, test_mode: bool, **kwargs: Any) -> None:
        kwargs.setdefault('split', 'test' if test_mode else 'train')
        super().__init__(  # type: ignore[call-arg]
            *args, test_mode=test_mode, **kwargs)


class CIFAR10(_ByTestMode, datasets.CIFAR10):
    """CIFAR-10, with mmcls' arguments."""


class CIFAR100(_ByTestMode, datasets.CIFAR100):
    """CIFAR-100, with mmcls' arguments."""


class CUB(_ByTestMode, datasets.CUB):
    """CUB-200-2011, with mmcls' arguments."""


class FashionMNIST(_ByTestMode, datasets.FashionMNIST):
    """Fashion-MNIST, with mmcls' arguments."""


class MNIST(_ByTestMode, datasets.MNIST):
    """MNIST, with mmcls' arguments."""
