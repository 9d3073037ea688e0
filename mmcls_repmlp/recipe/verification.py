"""Are two images of one identity? Accuracy over pairs, and the ROC curve.

Shape letters: N images, D numbers of an embedding, P pairs.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmcls_repmlp.host import METRICS, gt_labels
from repmlp_lite.errors import InputError

_FOLDS = 10
_BEYOND = 1e-6
_FALSE_ALARMS = (1e-3, 1e-2, 1e-1)


class Roc(NamedTuple):
    """A receiver operating characteristic.

    Attributes:
        false_rate: Share of different pairs that are accepted, rising, from 0
            to 1.
        true_rate: Share of same pairs that are accepted then.
        threshold: Least similarity that is accepted then.
    """
    false_rate: Tensor
    true_rate: Tensor
    threshold: Tensor

    @property
    def area(self) -> float:
        """Area below the curve: 0.5 by chance, 1 without an error."""
        return float(torch.trapezoid(self.true_rate, self.false_rate))

    def true_rate_at(self, false_rate: float) -> float:
        """Largest true rate whose false rate is no higher than this."""
        return float(self.true_rate[self.false_rate <= false_rate].max())


class Verification(NamedTuple):
    """How well similarity tells pairs apart.

    Attributes:
        accuracy: Share of pairs judged rightly, each tenth of them by the
            threshold that suits the other nine best.
        deviation: Standard deviation of that over the tenths.
        threshold: Mean of these thresholds.
        roc: The curve.
        pairs: Number of pairs, half of them of one identity.
    """
    accuracy: float
    deviation: float
    threshold: float
    roc: Roc
    pairs: int


def verify(embeddings: Tensor,
           labels: Tensor,
           max_pairs: int = 6000,
           seed: int = 0) -> Verification:
    """Judge pairs of images by the cosine of their embeddings.

    The protocol is that of Labeled Faces in the Wild: as many same as
    different pairs, ten folds.

    Args:
        embeddings: (N, D), of any length.
        labels: Identities (N,), integers.
        max_pairs: Most pairs to draw. Defaults to 6000.
        seed: Seed of the drawing. Defaults to 0.

    Returns:
        Accuracy and curve.

    Raises:
        InputError: If there are too few pairs for ten folds.
    """
    first, second, same = sample_pairs(labels, max_pairs, seed)
    units = torch.nn.functional.normalize(embeddings.double())
    cosine = (units[first] * units[second]).sum(1)  # (P,)
    scores = torch.stack(
        [_judge(cosine, same, fold) for fold in range(_FOLDS)])
    accuracy, threshold = scores.unbind(1)
    return Verification(
        float(accuracy.mean()), float(accuracy.std()), float(threshold.mean()),
        roc_curve(cosine, same), len(same))


def sample_pairs(labels: Tensor,
                 max_pairs: int,
                 seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Draw as many pairs of one identity as of two, none of them twice.

    Args:
        labels: Identities (N,), integers.
        max_pairs: Most pairs to draw, of both kinds together.
        seed: Seed of the drawing. Defaults to 0.

    Returns:
        Two indices of images, and whether they are of one identity, each
        (P,), in random order.

    Raises:
        InputError: If there are not ten pairs of either kind.
    """
    generator = torch.Generator().manual_seed(seed)
    same = torch.cat([
        torch.combinations(torch.where(labels == label)[0])
        for label in labels.unique()
    ])
    count = min(len(same), max_pairs // 2)
    different = _different_pairs(labels, count, generator)
    count = min(count, len(different))
    if count < _FOLDS:
        raise InputError(
            f'{len(labels)} images of {len(labels.unique())} identities give '
            f'{count} pairs of either kind, {_FOLDS} are needed: add images, '
            'several of each identity')
    pairs = torch.cat([_shuffled(same, generator)[:count], different[:count]])
    is_same = torch.arange(2 * count) < count
    order = torch.randperm(2 * count, generator=generator)
    first, second = pairs[order].unbind(1)
    return first, second, is_same[order]


def _different_pairs(labels: Tensor, count: int,
                     generator: torch.Generator) -> Tensor:
    # Twice as many as needed or more, of which equal ones and pairs of one
    # identity are dropped. Few images: all pairs there are.
    if len(labels)**2 < 8 * count:
        drawn = torch.combinations(torch.arange(len(labels)))
    else:
        drawn = torch.randint(
            len(labels), (4 * count, 2), generator=generator).sort(1).values
        drawn = drawn.unique(dim=0)
    first, second = drawn.unbind(1)
    return _shuffled(drawn[labels[first] != labels[second]], generator)


def _shuffled(rows: Tensor, generator: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator)]


def _judge(cosine: Tensor, same: Tensor, fold: int) -> Tensor:
    held_out = torch.arange(len(same)) % _FOLDS == fold
    threshold = best_threshold(cosine[~held_out], same[~held_out])
    right = (cosine[held_out] >= threshold) == same[held_out]
    return torch.stack([right.double().mean(), threshold])


def best_threshold(cosine: Tensor, same: Tensor) -> Tensor:
    """Find the similarity (a scalar) from which most pairs are judged right.

    It lies halfway between two pairs, and beyond the last one if all, or
    none, are to be accepted.
    """
    values, order = cosine.sort()
    values = torch.cat([values[:1] - _BEYOND, values, values[-1:] + _BEYOND])
    # Rejecting the first i pairs is right for the different ones among them,
    # accepting the others for the same ones among those.
    rejected = torch.nn.functional.pad((~same[order]).cumsum(0), (1, 0))
    accepted = torch.nn.functional.pad(same[order].cumsum(0), (1, 0))
    right = rejected + accepted[-1] - accepted
    right[values[1:] == values[:-1]] = -1  # equal pairs cannot be parted
    i = int(right.argmax())
    return (values[i] + values[i + 1]) / 2


def roc_curve(cosine: Tensor, same: Tensor) -> Roc:
    """Compute the curve over all thresholds.

    Args:
        cosine: Similarities (P,).
        same: Whether the pairs are of one identity, (P,).

    Returns:
        The curve, a point for every different similarity and one that
        accepts nothing.
    """
    values, order = cosine.sort(descending=True)
    hits, alarms = same[order].cumsum(0), (~same[order]).cumsum(0)
    last = torch.cat([values[1:] != values[:-1], torch.tensor([True])])
    zero = torch.zeros(1, dtype=torch.float64)
    return Roc(
        torch.cat([zero, alarms[last].double() / (~same).sum()]),
        torch.cat([zero, hits[last].double() / same.sum()]),
        torch.cat([zero + torch.inf, values[last]]))


@METRICS.register_module()
class PairVerification(BaseMetric):
    """Verification over pairs of a data set's images.

    Samples need an ``embedding``, as AMSoftmaxClsHead gives them.

    Args:
        max_pairs: Most pairs to draw. Defaults to 6000.
        seed: Seed of the drawing. Defaults to 0.
        collect_device: Where results of several processes are gathered.
            Defaults to 'cpu'.
        prefix: Prefix of the metrics' names. Defaults to 'verification'.
    """
    default_prefix = 'verification'

    def __init__(self,
                 max_pairs: int = 6000,
                 seed: int = 0,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device, prefix)
        self.max_pairs = max_pairs
        self.seed = seed

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep embedding and identity of every sample of a batch."""
        for sample in data_samples:
            if 'embedding' not in sample:
                raise InputError('PairVerification needs embeddings: use a '
                                 'head that gives them, AMSoftmaxClsHead')
            self.results.append(
                (sample['embedding'].cpu(), int(gt_labels(sample))))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute percentages: accuracy, area, and true at false rates."""
        embeddings, labels = zip(*results)
        found = verify(
            torch.stack(embeddings), torch.tensor(labels), self.max_pairs,
            self.seed)
        rates = {
            f'true_rate_at_{rate:g}': found.roc.true_rate_at(rate)
            for rate in _FALSE_ALARMS
        }
        shares = dict(
            accuracy=found.accuracy, roc_area=found.roc.area, **rates)
        return {name: 100 * share for name, share in shares.items()}
