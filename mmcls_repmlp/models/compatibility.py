"""Comparison of a state dict with the model that is to load it.

Lenient loaders only warn, and leave the weights that do not fit at random. So
a RepMLP block checks its part of a state dict before anything is copied: for
the other form, other kernels or another image size.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isqrt
from typing import NamedTuple

from torch import Tensor, nn

from repmlp_lite.errors import CheckpointError, first_few, shorten

_MERGER = 'repmlp reparameterize'
_RESIZER = 'repmlp resize'
_BACKBONE = 'backbone.'
_HEAD = 'head'  # or decode_head, auxiliary_head
_LONGEST = 80  # characters of a name in a message
# The deploy form has the bias of a layer where the training form has a norm.
_NORM_OF_BIAS = {'fc3.bias': 'fc3_bn.weight', 'conv.bias': 'bn.weight'}
Shape = tuple[int, ...]


class Mismatch(NamedTuple):
    """Differences between a state dict and the model to load it.

    Attributes:
        missing: Keys that the model has and the state dict lacks.
        unexpected: Keys that only the state dict has.
        misshaped: Keys of both, with the shapes (model's, state dict's).
        mistyped: Keys of both, floating-point in the model only.
    """
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: Mapping[str, tuple[Shape, Shape]]
    mistyped: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return any(tuple(self))

    def __str__(self) -> str:
        """Name the first few keys of each kind."""
        shapes = [
            f'{key} (model {ours}, checkpoint {theirs})'
            for key, (ours, theirs) in self.misshaped.items()
        ]
        kinds = (('missing', self.missing), ('unexpected', self.unexpected),
                 ('mis-shaped', shapes), ('not floating-point', self.mistyped))
        return '; '.join(
            f'{len(keys)} {kind}: '
            f'{first_few([shorten(key, _LONGEST) for key in keys])}'
            for kind, keys in kinds if keys)


def find_mismatch(expected: Mapping[str, Tensor],
                  given: Mapping[str, Tensor]) -> Mismatch:
    """Compare a model's state dict with the one to be loaded.

    The latter may lack the counters of batch norms.
    """
    common = {
        key: (expected[key], given[key])
        for key in expected if key in given
    }
    return Mismatch(
        missing=tuple(
            key for key in expected
            if key not in given and not key.endswith('num_batches_tracked')),
        unexpected=tuple(key for key in given if key not in expected),
        misshaped={
            key: (tuple(ours.shape), tuple(theirs.shape))
            for key, (ours, theirs) in common.items()
            if ours.shape != theirs.shape
        },
        mistyped=tuple(
            key for key, (ours, theirs) in common.items()
            if ours.is_floating_point() and not theirs.is_floating_point()))


def explain_mismatch(mismatch: Mismatch) -> str:
    """Return a clause with the probable cause of a mismatch and the remedy."""
    missing, shapes = mismatch.missing, mismatch.misshaped
    if _differ_in_form(mismatch.unexpected, missing):
        return ('it is already converted (deploy form) but the model has '
                'deploy=False: use the deploy config (backbone deploy=True), '
                f'or give {_MERGER} the training checkpoint')
    if _differ_in_form(missing, mismatch.unexpected):
        return ('it is in training form but the model has deploy=True: '
                f'convert it with {_MERGER} first, or use the training config')
    if mismatch.mistyped and not (missing or shapes):
        return ('its numbers are integers where the model has floating-point '
                'weights: give the checkpoint before it was quantized')
    if not missing and not mismatch.unexpected:
        body = [key for key in shapes if not _is_per_class(key, *shapes[key])]
        if not body:
            return ('this looks like another number of classes: set '
                    'num_classes of the head, or start a new head from these '
                    'weights as docs/finetuning.md does, with init_cfg')
        fc3 = [key for key in body if key.endswith('fc3.weight')]
        if fc3 and all('.fc3.' in f'.{key}' for key in body):
            ours, theirs = (shape[1] for shape in shapes[fc3[0]])
            return ('this looks like another image size, for partitions of '
                    f'{_positions(theirs)}, the model has {_positions(ours)}: '
                    f'set img_size accordingly, or resize it with {_RESIZER}')
        if all('fc1_fc2.' in key for key in body):
            return ('this looks like another image size: global perceptrons '
                    'are for another number of partitions, or another '
                    'globalperceptron_ratio; set img_size accordingly')
    return ('this looks like another architecture: check arch or depth, '
            'block, groups and reparam_conv_kernels')


def is_merged(names: Iterable[str]) -> bool:
    """Return whether the names of a state dict are those of a deploy form.

    Its backbone has an fc3 with a bias, or, without any fc3, no norm. Heads,
    such as those of segmenters, keep their norms.
    """
    names = set(names)
    names = {name for name in names if name.startswith(_BACKBONE)} or names
    return (any(name.endswith('fc3.bias') for name in names)
            or not any('bn.' in name for name in names))


def check_state_dict(module: nn.Module, state_dict: Mapping[str, Tensor],
                     prefix: str, tops: tuple[str, ...]) -> None:
    """Raise a CheckpointError if what begins with ``tops`` fits in part."""
    own, given = ({
        key.removeprefix(prefix): value
        for key, value in weights.items() if key.startswith(tops)
    } for weights in (module.state_dict(prefix=prefix), state_dict))
    mismatch = find_mismatch(own, given) if given else None
    if mismatch:
        where = f' below {prefix.removesuffix(".")!r}' if prefix else ''
        raise CheckpointError('the state dict does not fit the model'
                              f'{where}: {explain_mismatch(mismatch)} '
                              f'({mismatch})')


def _differ_in_form(merged: Sequence[str], training: Sequence[str]) -> bool:
    return any(
        key.endswith(bias) and key.removesuffix(bias) + norm in training
        for bias, norm in _NORM_OF_BIAS.items() for key in merged)


def _is_per_class(key: str, ours: Shape, theirs: Shape) -> bool:
    return key.split('.')[0].endswith(_HEAD) and ours[1:] == theirs[1:]


def _positions(count: int) -> str:
    side = isqrt(count)
    return f'{side}x{side}' if side * side == count else f'{count} positions'
