import pytest
import torch
from sklearn.metrics import auc
from sklearn.metrics import roc_curve as sklearn_roc

from mmcls_repmlp.host import METRICS, DataSample
from mmcls_repmlp.recipe import sample_pairs, verify
from mmcls_repmlp.recipe.verification import best_threshold, roc_curve
from repmlp_lite.errors import InputError
from tests.helpers import assert_same, randn

LABELS = torch.arange(60) % 6


def clusters(noise, seed=0):
    """Embeddings of six identities, as far apart as the axes."""
    centres = torch.eye(6, 8, dtype=torch.float64)
    lengths = randn(60, 1, seed=seed + 1).abs() + 0.1
    return (centres[LABELS] + noise * randn(60, 8, seed=seed)) * lengths


def test_pairs_are_balanced_different_and_reproducible():
    first, second, same = sample_pairs(LABELS, 200, seed=3)
    assert len(same) == 200 and int(same.sum()) == 100
    assert torch.equal(LABELS[first] == LABELS[second], same)
    assert (first != second).all()
    pairs = torch.stack([first, second], 1).sort(1).values
    assert len(pairs.unique(dim=0)) == 200
    again = sample_pairs(LABELS, 200, seed=3)
    assert all(map(torch.equal, again, (first, second, same)))
    assert not torch.equal(sample_pairs(LABELS, 200, seed=4)[0], first)
    # All pairs of one identity, if they are fewer than asked for.
    assert int(sample_pairs(LABELS, 10**6)[2].sum()) == 6 * 45


@pytest.mark.parametrize('labels',
                         [torch.zeros(30, dtype=torch.long),
                          torch.arange(30)])
def test_too_few_pairs(labels):
    with pytest.raises(InputError, match='pairs of either kind, 10 are'):
        sample_pairs(labels, 100)


def test_a_pair_at_the_threshold_is_accepted():
    # One pair has a cosine of exactly 1/2; those of all others, from which
    # its threshold comes, are 0 and 1.
    axes = torch.eye(8, dtype=torch.float64)
    embeddings = torch.cat([
        axes[:1], axes[:4].mean(0, keepdim=True),
        axes[4:].repeat_interleave(4, 0)
    ])
    labels = torch.tensor([0, 0, *torch.arange(1, 5).repeat_interleave(4)])
    assert verify(embeddings, labels).accuracy == 1


@pytest.mark.parametrize('digits', [1, 15])
def test_curve_equals_that_of_scikit_learn(digits):
    # Rounded to one digit there are many equal similarities.
    cosine = torch.round(randn(300), decimals=digits)
    same = randn(300, seed=1) + cosine > 0
    found = roc_curve(cosine, same)
    *rates, thresholds = map(
        torch.as_tensor, sklearn_roc(same, cosine, drop_intermediate=False))
    assert_same(found[:2], rates)
    assert torch.equal(found.threshold, thresholds)
    assert found.area == pytest.approx(auc(*rates), abs=1e-12)
    for rate in (0, 0.3, 1):
        assert found.true_rate_at(rate) == rates[1][rates[0] <= rate].max()


def test_the_best_threshold_is_the_best():
    for seed in range(40):
        cosine = torch.round(randn(15, seed=seed), decimals=1 + seed % 2 * 9)
        same = randn(15, seed=100 + seed) + cosine > seed % 3 - 1
        cuts = [-9., *(cosine + 1e-9).tolist(), *(cosine - 1e-9).tolist()]
        best = max(int(((cosine >= cut) == same).sum()) for cut in cuts)
        threshold = best_threshold(cosine, same)
        assert int(((cosine >= threshold) == same).sum()) == best


def test_each_fold_is_judged_by_the_others():
    found = verify(clusters(0.6), LABELS, max_pairs=400)
    first, second, same = sample_pairs(LABELS, 400)
    unit = torch.nn.functional.normalize(clusters(0.6))
    cosine = (unit[first] * unit[second]).sum(1)
    right, cuts = [], []
    for fold in range(10):
        kept = torch.arange(400) % 10 != fold
        cuts.append(best_threshold(cosine[kept], same[kept]))
        right.append((cosine[~kept] >= cuts[-1]) == same[~kept])
    shares = torch.stack(right).double().mean(1)
    expected = shares.mean(), shares.std(), torch.stack(cuts).mean()
    assert found[:3] == pytest.approx(tuple(map(float, expected)), rel=1e-12)
    assert 0 < found.deviation and found.pairs == 400


def test_the_metric():
    metric = METRICS.build(dict(type='PairVerification', max_pairs=400))
    samples = [
        DataSample().set_gt_label(label).to_dict() | dict(embedding=embedding)
        for label, embedding in zip(LABELS, clusters(0.6))
    ]
    metric.process(None, samples[:20])
    metric.process(None, samples[20:])
    found = verify(clusters(0.6), LABELS, max_pairs=400)
    rates = {
        f'true_rate_at_{rate}': found.roc.true_rate_at(rate)
        for rate in (0.001, 0.01, 0.1)
    }
    shares = dict(accuracy=found.accuracy, roc_area=found.roc.area, **rates)
    assert metric.evaluate(60) == {
        f'verification/{name}': 100 * share
        for name, share in shares.items()
    }
    del samples[0]['embedding']
    with pytest.raises(InputError, match='AMSoftmaxClsHead'):
        metric.process(None, samples)
