"""Against the source's formulas, image by image and class by class."""
import math

import numpy as np
import pytest
import torch

from mmcls_repmlp.host import BATCH_AUGMENTS
from tests.helpers import assert_same, randn
from tests.host_parts import LabelSmoothLoss, RandomBatchAugment

N, CLASSES, SMOOTHING = 6, 5, 0.1
LABELS = [3, 0, 4, 4, 1, 2]


def batch():
    scores = torch.zeros(N, CLASSES, dtype=torch.float64)
    for i, label in enumerate(LABELS):
        scores[i, label] = 1
    return randn(N, 3, 12, 16), scores


def ratio(alpha, seed):
    np.random.seed(seed)
    return np.random.beta(alpha, alpha)


def mix(name, alpha, seed):
    augment = BATCH_AUGMENTS.build(dict(type=name, alpha=alpha))
    images, scores = batch()
    np.random.seed(seed)
    mixed, mixed_scores = augment(images, scores)
    assert_same(images, batch()[0], 0)  # nothing is changed in place
    return images, mixed, mixed_scores


def expected_scores(part):
    """Of unsmoothed labels, of which `part` is the image's own."""
    out = torch.zeros(N, CLASSES)
    for i in range(N):
        out[i, LABELS[i]] += part
        out[i, LABELS[N - 1 - i]] += 1 - part
    return out


@pytest.mark.parametrize('seed', range(3))
def test_mixup_blends_first_and_last(seed):
    images, mixed, scores = mix('FlipMixup', 0.4, seed)
    part = ratio(0.4, seed)
    for i in range(N):
        assert_same(mixed[i],
                    part * images[i] + (1 - part) * images[N - 1 - i])
    assert_same(scores, expected_scores(part), 1e-6)


@pytest.mark.parametrize('seed', range(5))
def test_cutmix_pastes_one_box_and_counts_its_area(seed):
    images, mixed, scores = mix('FlipCutMix', 1.0, seed)
    side = math.sqrt(1 - ratio(1.0, seed))
    height, width = int(12 * side), int(16 * side)
    y, x = np.random.randint(12), np.random.randint(16)
    inside = np.zeros((12, 16), bool)
    inside[max(y - height // 2, 0):y + height // 2,
           max(x - width // 2, 0):x + width // 2] = True
    for i in range(N):
        pasted = torch.where(
            torch.from_numpy(inside), images[N - 1 - i], images[i])
        assert_same(mixed[i], pasted, 0)
    assert_same(scores, expected_scores(1 - inside.mean()), 1e-6)


@pytest.mark.parametrize(('name', 'alpha'), [('FlipMixup', 0.4),
                                             ('FlipCutMix', 1.0)])
def test_loss_of_mixed_and_smoothed_labels(name, alpha):
    # The source smooths both labels and blends them; mmcls' loss smooths the
    # blend. A plain loop says that both are the same.
    _, _, scores = mix(name, alpha, seed=1)
    part = float(scores[0, LABELS[0]])
    logits = randn(N, CLASSES, seed=2)
    loss = LabelSmoothLoss(SMOOTHING)(logits, scores)
    total = 0.
    for i in range(N):
        norm = math.log(sum(math.exp(float(z)) for z in logits[i]))
        for c in range(CLASSES):
            target = 0.
            for label, weight in ((LABELS[i], part), (LABELS[N - 1 - i],
                                                      1 - part)):
                on = 1 - SMOOTHING + SMOOTHING / CLASSES
                target += weight * (on if c == label else SMOOTHING / CLASSES)
            total -= target * (float(logits[i, c]) - norm)
    assert float(loss) == pytest.approx(total / N, rel=1e-6)


def test_one_of_both_for_every_batch_each_as_likely(monkeypatch):
    chosen = RandomBatchAugment([
        dict(type='FlipMixup', alpha=0.4),
        dict(type='FlipCutMix', alpha=1.0)
    ])
    calls = []
    for augment in chosen.augments:
        monkeypatch.setattr(
            augment,
            'mix',
            lambda *both, who=augment: (calls.append(who), both)[1])
    np.random.seed(0)
    for _ in range(2000):
        chosen(*batch())
    assert len(calls) == 2000  # none goes unmixed
    assert abs(calls.count(chosen.augments[0]) - 1000) < 5 * 500**0.5
