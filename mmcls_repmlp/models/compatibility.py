"""Hold a state dict against the model that is to load it, and say why not.

Loaders that are not strict only warn and leave what does not fit at random.
A RepMLP block whose state dict has the other form, other kernels or another
image size would then run without complaint, so the modules check for
themselves, before anything is copied.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

from torch import Tensor

from repmlp_lite.errors import CheckpointError, first_few, shorten

TOOL = 'tools/convert_models/reparameterize_model.py'
RESIZER = 'tools/convert_models/resize_partitions.py'
_BACKBONE = 'backbone.'
_HEAD = 'head'  # or decode_head, auxiliary_head
_LONGEST = 80  # characters of a name in a message
# What the deploy form has in the place of what the training form has: the
# bias of a layer for its norm.
_MERGED_FOR = {'fc3.bias': 'fc3_bn.weight', 'conv.bias': 'bn.weight'}


@dataclass(frozen=True)
class Mismatch:
    """What keeps a state dict from filling a model.

    Attributes:
        missing: Keys that the model has and the state dict lacks.
        unexpected: Keys that only the state dict has.
        misshaped: Keys of both, with the shapes (model's, state dict's).
        mistyped: Keys of both, floating-point in the model alone.
    """
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    mistyped: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.missing or self.unexpected or self.misshaped
                    or self.mistyped)

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
    """Compare names and shapes; counters of batch norm may be absent.

    Args:
        expected: The model's own state dict.
        given: The state dict to be loaded.

    Returns:
        All differences; false in a condition when there are none.
    """
    missing = [
        key for key in expected
        if key not in given and not key.endswith('num_batches_tracked')
    ]
    unexpected = [key for key in given if key not in expected]
    misshaped = {
        key: (tuple(value.shape), tuple(given[key].shape))
        for key, value in expected.items()
        if key in given and value.shape != given[key].shape
    }
    mistyped = [
        key for key, value in expected.items() if key in given
        and value.is_floating_point() and not given[key].is_floating_point()
    ]
    return Mismatch(
        tuple(missing), tuple(unexpected), misshaped, tuple(mistyped))


def explain_mismatch(mismatch: Mismatch) -> str:
    """Say in one clause what the mismatch looks like and what to do."""
    if _forms_differ(mismatch.unexpected, mismatch.missing):
        return ('it is already converted (deploy form) but the model has '
                'deploy=False: use the deploy config (backbone deploy=True), '
                f'or give {TOOL} the training checkpoint')
    if _forms_differ(mismatch.missing, mismatch.unexpected):
        return ('it is in training form but the model has deploy=True: '
                f'convert it with {TOOL} first, or use the training config')
    if mismatch.mistyped and not (mismatch.missing or mismatch.misshaped):
        return ('its numbers are integers where the model has floating-point '
                'weights: give the checkpoint before it was quantized')
    body = [
        key for key, shapes in mismatch.misshaped.items()
        if not _is_per_class(key, *shapes)
    ]
    same_names = not mismatch.missing and not mismatch.unexpected
    if same_names and mismatch.misshaped and not body:
        return ('this looks like another number of classes: set num_classes '
                'of the head, or start a new head from these weights as '
                'docs/finetuning.md does, with init_cfg')
    fc3 = [key for key in body if key.endswith('fc3.weight')]
    if same_names and fc3 and all('.fc3.' in f'.{key}' for key in body):
        ours, theirs = (shape[1] for shape in mismatch.misshaped[fc3[0]])
        return ('this looks like another image size, for partitions of '
                f'{_positions(theirs)}, the model has {_positions(ours)}: set '
                f'img_size accordingly, or resize it with {RESIZER}')
    if same_names and all('fc1_fc2.' in key for key in body):
        return ('this looks like another image size: global perceptrons are '
                'for another number of partitions, or another '
                'globalperceptron_ratio; set img_size accordingly')
    return ('this looks like another architecture: check arch or depth, '
            'block, groups and reparam_conv_kernels')


def is_merged(names: Iterable[str]) -> bool:
    """Say whether the names of a state dict are those of a deploy form.

    Its backbone has an fc3 with a bias, or, if there is no fc3, no norm at
    all. Heads, such as those of segmenters, keep their norms.
    """
    names = set(names)
    names = {name for name in names if name.startswith(_BACKBONE)} or names
    return (any(name.endswith('fc3.bias') for name in names)
            or not any('bn.' in name for name in names))


def check_state_dict(expected: Mapping[str, Tensor],
                     state_dict: Mapping[str, Tensor], prefix: str) -> None:
    """Let a module be loaded whole or not at all.

    Args:
        expected: The module's own state dict, names without prefix.
        state_dict: What is about to be loaded.
        prefix: What the module's names start with in ``state_dict``.

    Raises:
        CheckpointError: If ``state_dict`` holds any entry below ``prefix``
            and these are not all that the module needs, in its shapes.
    """
    given = {
        key.removeprefix(prefix): value
        for key, value in state_dict.items() if key.startswith(prefix)
    }
    mismatch = find_mismatch(expected, given) if given else None
    if mismatch:
        where = f' below {prefix.removesuffix(".")!r}' if prefix else ''
        raise CheckpointError('the state dict does not fit the model'
                              f'{where}: {explain_mismatch(mismatch)} '
                              f'({mismatch})')


def _forms_differ(merged: Sequence[str], training: Sequence[str]) -> bool:
    return any(
        key.endswith(new) and key.removesuffix(new) + old in training
        for new, old in _MERGED_FOR.items() for key in merged)


def _is_per_class(key: str, ours: tuple[int, ...], theirs: tuple[int,
                                                                 ...]) -> bool:
    return key.split('.')[0].endswith(_HEAD) and ours[1:] == theirs[1:]


def _positions(count: int) -> str:
    side = isqrt(count)
    return f'{side}x{side}' if side * side == count else f'{count} positions'
