"""Verification of identities: accuracy over pairs of images, ROC curve.

Shape letters: N images, D numbers of an embedding, P pairs.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor
from torch.nn.functional import normalize

from mmcls_repmlp.host import METRICS, gt_labels
from repmlp_lite.errors import InputError

_FOLDS = 10
_BEYOND = 1e-6
_FALSE_RATES = (1e-3, 1e-2, 1e-1)


class Roc(NamedTuple):
    """Receiver operating characteristic.

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
        """Return the largest true rate whose false rate is at most this."""
        return float(self.true_rate[self.false_rate <= false_rate].max())


class Verification(NamedTuple):
    """Result of a verification.

    Attributes:
        accuracy: Share of pairs judged rightly, each tenth of them by the
            best threshold of the other nine.
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

    Raises:
        InputError: If there are too few pairs for ten folds.
    """
    first, second, same = sample_pairs(labels, max_pairs, seed)
    units = normalize(embeddings.double())
    cosine = (units[first] * units[second]).sum(1)  # (P,)
    shares, thresholds = [], []
    for fold in range(_FOLDS):
        held_out = torch.arange(len(same)) % _FOLDS == fold
        threshold = best_threshold(cosine[~held_out], same[~held_out])
        right = (cosine[held_out] >= threshold) == same[held_out]
        thresholds.append(threshold)
        shares.append(right.double().mean())
    accuracy = torch.stack(shares)
    return Verification(
        float(accuracy.mean()), float(accuracy.std()),
        float(torch.stack(thresholds).mean()), roc_curve(cosine, same),
        len(same))


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
    order = torch.randperm(2 * count, generator=generator)
    first, second = pairs[order].unbind(1)
    return first, second, order < count


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


def best_threshold(cosine: Tensor, same: Tensor) -> Tensor:
    """Find the similarity (a scalar) from which most pairs are judged right.

    It lies halfway between two pairs, and beyond the last one if all, or
    none, are to be accepted.
    """
    hits, alarms, values = _accepted(cosine, same)
    i = int((hits - alarms).argmax())
    edges = torch.cat(
        [values[1:2] + _BEYOND, values[1:], values[-1:] - _BEYOND])
    return (edges[i] + edges[i + 1]) / 2


def roc_curve(cosine: Tensor, same: Tensor) -> Roc:
    """Compute the curve over all thresholds.

    Args:
        cosine: Similarities (P,).
        same: Whether the pairs are of one identity, (P,).

    Returns:
        A point for every different similarity, and one that accepts nothing.
    """
    hits, alarms, values = _accepted(cosine, same)
    return Roc(alarms.double() / alarms[-1], hits.double() / hits[-1], values)


def _accepted(cosine: Tensor, same: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count same and different pairs from every similarity on, and none."""
    values, order = cosine.sort(descending=True)
    last = torch.cat([values[1:] != values[:-1], torch.tensor([True])])
    hits, alarms = (
        torch.cat(
            [torch.zeros(1, dtype=torch.long), kind[order].cumsum(0)[last]])
        for kind in (same, ~same))
    return hits, alarms, torch.cat(
        [values.new_tensor([torch.inf]), values[last]])


@METRICS.register_module()
class PairVerification(BaseMetric):
    """Verification over pairs of a data set's images.

    Samples need an ``embedding``, as AMSoftmaxClsHead gives them.

    Args:
        max_pairs: Most pairs to draw. Defaults to 6000.
        seed: Seed of the drawing. Defaults to 0.
        **kwargs: As of BaseMetric.
    """
    default_prefix = 'verification'

    def __init__(self,
                 max_pairs: int = 6000,
                 seed: int = 0,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
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
        metrics = dict(accuracy=found.accuracy, roc_area=found.roc.area)
        for rate in _FALSE_RATES:
            metrics[f'true_rate_at_{rate:g}'] = found.roc.true_rate_at(rate)
        return {name: 100 * share for name, share in metrics.items()}
