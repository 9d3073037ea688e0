"""Verification of identities: accuracy over pairs of images, ROC curve.

Shape letters: N images, D numbers of an embedding, P pairs.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor
from torch.nn.functional import normalize, pad

from mmcls_repmlp.host import METRICS, gt_labels
from repmlp_lite.errors import InputError

_FOLDS = 10


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
        deviation: Its standard deviation over the tenths.
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
    folds = torch.arange(len(same)) % _FOLDS
    thresholds = torch.stack([
        best_threshold(cosine[folds != fold], same[folds != fold])
        for fold in range(_FOLDS)
    ])
    right = ((cosine >= thresholds[folds]) == same).double()
    shares = torch.stack([right[i::_FOLDS].mean() for i in range(_FOLDS)])
    return Verification(
        float(shares.mean()), float(shares.std()), float(thresholds.mean()),
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
    if len(labels)**2 < 8 * count:  # few images: all pairs there are
        drawn = torch.combinations(torch.arange(len(labels)))
    else:  # twice as many as needed or more, which may repeat
        drawn = torch.randint(len(labels), (4 * count, 2), generator=generator)
        drawn = drawn.sort(1).values.unique(dim=0)
    different = drawn[labels[drawn].diff()[:, 0] != 0]
    count = min(count, len(different))
    if count < _FOLDS:
        raise InputError(
            f'{len(labels)} images of {len(labels.unique())} identities give '
            f'{count} pairs of either kind, {_FOLDS} are needed: add images, '
            'several of each identity')
    pairs = torch.cat(
        [_shuffle(kind, generator)[:count] for kind in (different, same)])
    order = torch.randperm(2 * count, generator=generator)
    first, second = pairs[order].unbind(1)
    return first, second, order >= count


def _shuffle(rows: Tensor, generator: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator)]


def best_threshold(cosine: Tensor, same: Tensor) -> Tensor:
    """Find the similarity from which most pairs are judged right.

    It lies halfway between two pairs, or beyond all of them.
    """
    false, true, values = roc_curve(cosine, same)
    right = true * same.sum() - false * (~same).sum()  # but for a constant
    i = int(right.round().argmax())
    edges = torch.cat([values[1:2] + 1e-6, values[1:], values[-1:] - 1e-6])
    return edges[i:i + 2].mean()


def roc_curve(cosine: Tensor, same: Tensor) -> Roc:
    """Compute a point for every similarity, and one that accepts nothing."""
    values, order = cosine.sort(descending=True)
    last = values.diff(append=values.new_tensor([-torch.inf])) != 0
    true, false = (
        pad(kind[order].double().cumsum(0)[last] / kind.sum(), (1, 0))
        for kind in (same, ~same))
    return Roc(false, true, pad(values[last], (1, 0), value=torch.inf))


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
        rates = {
            f'true_rate_at_{rate:g}': 100 * found.roc.true_rate_at(rate)
            for rate in (1e-3, 1e-2, 1e-1)
        }
        return dict(
            accuracy=100 * found.accuracy,
            roc_area=100 * found.roc.area,
            **rates)
