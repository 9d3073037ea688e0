"""Against the source's formulas, with each image's partner written out."""
import math

import numpy as np
import pytest
import torch

from mmcls_repmlp.host import BATCH_AUGMENTS
from tests.helpers import assert_same, randn
from tests.host_parts import LabelSmoothLoss

CLASSES, SMOOTHING = 5, 0.1
PARTNERS = [5, 4, 3, 2, 1, 0]
IMAGES = randn(6, 3, 12, 16)
SCORES = torch.eye(CLASSES, dtype=torch.float64)[[3, 0, 4, 4, 1, 2]]


def mix(name, alpha, seed):
    augment = BATCH_AUGMENTS.build(dict(type=name, alpha=alpha))
    images = IMAGES.clone()
    np.random.seed(seed)
    mixed, scores = augment(images, SCORES)
    assert_same(images, IMAGES, 0)  # nothing is changed in place
    np.random.seed(seed)
    return mixed, scores, np.random.beta(alpha, alpha)


def blend(batch, part):
    return part * batch + (1 - part) * batch[PARTNERS]


@pytest.mark.parametrize('seed', range(3))
def test_mixup_blends_first_and_last(seed):
    mixed, scores, part = mix('FlipMixup', 0.4, seed)
    assert_same(mixed, blend(IMAGES, part))
    assert_same(scores, blend(SCORES, part).float(), 1e-6)


@pytest.mark.parametrize('seed', range(5))
def test_cutmix_pastes_one_box_and_counts_its_area(seed):
    mixed, scores, part = mix('FlipCutMix', 1.0, seed)
    side = math.sqrt(1 - part)
    height, width = int(12 * side), int(16 * side)
    y, x = np.random.randint(12), np.random.randint(16)
    inside = torch.zeros(12, 16, dtype=torch.bool)
    inside[max(y - height // 2, 0):y + height // 2,
           max(x - width // 2, 0):x + width // 2] = True
    assert_same(mixed, torch.where(inside, IMAGES[PARTNERS], IMAGES), 0)
    area = float(inside.double().mean())
    assert_same(scores, blend(SCORES, 1 - area).float(), 1e-6)


@pytest.mark.parametrize(('name', 'alpha'), [('FlipMixup', 0.4),
                                             ('FlipCutMix', 1.0)])
def test_loss_of_mixed_and_smoothed_labels(name, alpha):
    # The source smooths both labels and blends them; mmcls' loss smooths the
    # blend. Both are the same.
    _, scores, _ = mix(name, alpha, seed=1)
    logits = randn(6, CLASSES, seed=2)
    loss = LabelSmoothLoss(SMOOTHING)(logits, scores)
    smoothed = (1 - SMOOTHING) * SCORES + SMOOTHING / CLASSES
    target = blend(smoothed, float(scores[0, 3]))
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)
