import math

import pytest
import torch

import mmcls_repmlp  # noqa: F401  (registers the head)
from mmcls_repmlp.host import MODELS, DataSample, pred_labels, pred_scores
from tests.helpers import assert_same, randn


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(type='AMSoftmaxClsHead', num_classes=4, in_channels=6,
             **kwargs)).double()


def cosines(head, x):
    w = head.norm_product.weight.detach()
    return torch.tensor(
        [[float(a @ b) / float(a.norm() * b.norm()) for b in w] for a in x],
        dtype=torch.float64)


@pytest.mark.parametrize(('margin', 'scale'), [(0.35, 30.), (0.1, 8.)])
def test_loss_is_cross_entropy_with_the_margin(margin, scale):
    head, x = build(margin=margin, scale=scale), randn(5, 6)
    labels = [0, 3, 2, 2, 1]
    samples = [DataSample().set_gt_label(label) for label in labels]
    loss = head.loss((x, ), samples)['loss']
    expected = 0.
    for row, label in zip(cosines(head, x).tolist(), labels):
        scores = [
            scale * (c - margin * (k == label)) for k, c in enumerate(row)
        ]
        expected += math.log(sum(map(math.exp, scores))) - scores[label]
    assert loss.item() == pytest.approx(expected / 5, rel=1e-6)
    loss.backward()
    assert head.norm_product.weight.grad.abs().min() > 0


def test_inference_has_no_margin_and_keeps_unit_vectors():
    head, x = build(), randn(5, 6)
    samples = head.predict((x, ))
    assert_same(head((x, )), 30 * cosines(head, x), 1e-6)
    for sample, row, cosine in zip(samples, x, cosines(head, x)):
        assert_same(sample.embedding, row / row.norm())
        assert int(pred_labels(sample)) == int(cosine.argmax())
        assert_same(pred_scores(sample), (30 * cosine).softmax(0), 1e-6)
