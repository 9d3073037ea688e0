"""Variants of RepMLPNet as data, and the check of custom ones.

The numbers are those of github.com/DingXiaoH/RepMLP at 3eff13f. Official
models of T and B exist for 224 and 256 pixels, of D and L for 256.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mmcls_repmlp.models.argument_checks import (check_positive_int,
                                                 check_positive_ints)


@dataclass(frozen=True)
class Arch:
    """Variant of RepMLPNet, stage by stage.

    Attributes:
        channels: Channels of every stage.
        depths: Blocks in every stage.
        sharesets_nums: Sharesets (S) of every stage; S divides the channels.
        globalperceptron_divisor: The width of the gate's hidden layer is
            rounded to a multiple of this. Defaults to 8, as in the host; the
            official code does not round (1), which matters for D only.
    """
    channels: tuple[int, ...]
    depths: tuple[int, ...]
    sharesets_nums: tuple[int, ...]
    globalperceptron_divisor: int = 8

    @property
    def num_stages(self) -> int:
        """Number of stages."""
        return len(self.channels)


_T = Arch((64, 128, 256, 512), (2, 2, 6, 2), (1, 4, 16, 128))
_B = Arch((96, 192, 384, 768), (2, 2, 12, 2), (1, 4, 32, 128))
_D = Arch((80, 160, 320, 640), (2, 2, 18, 2), (1, 4, 16, 128),
          globalperceptron_divisor=1)
_L = Arch((96, 192, 384, 768), (2, 2, 18, 2), (1, 4, 32, 256))

ARCH_ZOO: Mapping[str, Arch] = {
    't': _T, 'tiny': _T,
    'b': _B, 'base': _B,
    'd': _D, 'deep': _D,
    'l': _L, 'large': _L,
}  # yapf: disable

_PER_STAGE = ('channels', 'depths', 'sharesets_nums')
_KEYS = tuple(field.name for field in fields(Arch))


def resolve_arch(arch: str | Mapping[str, Any] | Arch) -> Arch:
    """Look up a variant by name, or check a custom one.

    Args:
        arch: A name of :data:`ARCH_ZOO` in any case; or a dict with the keys
            ``channels``, ``depths`` and ``sharesets_nums`` (a list or tuple
            of equal length each) and optionally
            ``globalperceptron_divisor``.

    Returns:
        The checked variant.

    Raises:
        ValueError: If the name, a key or a value is wrong; the message names
            it.
    """
    if isinstance(arch, str):
        if arch.lower() not in ARCH_ZOO:
            raise ValueError(f'arch {arch!r} is not in default archs: choose '
                             f'from {", ".join(ARCH_ZOO)}, or give a dict')
        return ARCH_ZOO[arch.lower()]
    if isinstance(arch, Arch):
        arch = asdict(arch)
    if not isinstance(arch, Mapping):
        raise ValueError(f'arch needs a dict or a name, got {arch!r}')
    wrong = set(_PER_STAGE) - set(arch) or set(arch) - set(_KEYS)
    if wrong:
        raise ValueError(f'Custom arch needs a dict with keys {_PER_STAGE} '
                         f'and optionally {_KEYS[-1]!r}: check '
                         f'{", ".join(map(repr, sorted(wrong)))}')
    channels, depths, sharesets = (
        check_positive_ints(f'arch[{key!r}]', arch[key]) for key in _PER_STAGE)
    divisor = check_positive_int(_KEYS[-1], arch.get(_KEYS[-1], 8))
    resolved = Arch(channels, depths, sharesets, divisor)
    _check_stages(resolved)
    return resolved


def _check_stages(arch: Arch) -> None:
    lengths = {key: len(getattr(arch, key)) for key in _PER_STAGE}
    if len(set(lengths.values())) != 1:
        raise ValueError('Length of setting item in arch dict must be the '
                         f'same, got {lengths}')
    for stage, (c, s) in enumerate(zip(arch.channels, arch.sharesets_nums)):
        if c % s:
            raise ValueError(f'stage {stage} of arch has {c} channels, which '
                             f'{s} sharesets do not divide')
