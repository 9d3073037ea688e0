from types import SimpleNamespace as Namespace

import pytest

from mmcls_repmlp.host import METRICS, Accuracy, SingleLabelMetric
from mmcls_repmlp.jobs.testing.metrics import check_metrics, evaluator_config
from mmcls_repmlp.recipe import PairVerification
from repmlp_lite.errors import ConfigError, UserError

ACCURACY, SINGLE = dict(type='Accuracy'), dict(type='SingleLabelMetric')


@pytest.mark.parametrize(('metrics', 'options', 'expected'), [
    ([], dict(topk=1), [dict(ACCURACY, topk=1)]),
    (['recall', 'f1_score'], dict(average=None),
     [dict(SINGLE, items=('recall', 'f1-score'), average=None)]),
    (['accuracy', 'recall'], dict(topk=[1, 5], thrs=0.5), [
        dict(ACCURACY, topk=[1, 5], thrs=0.5),
        dict(SINGLE, items=('recall', ), thrs=0.5)
    ]),
])
def test_names_become_evaluators_of_the_host(metrics, options, expected):
    assert evaluator_config(metrics, options) == expected


@pytest.mark.parametrize(('metrics', 'options', 'message'), [
    (['mAP'], {}, "'mAP' is unknown: choose from accuracy, "),
    (['accuracy'], dict(average='micro'),
     "metric option 'average' is unknown: choose from thrs, topk"),
])
def test_unknown_names(metrics, options, message):
    with pytest.raises(UserError, match=message):
        evaluator_config(metrics, options)


@pytest.mark.parametrize(('metric', 'message'), [
    (Accuracy(topk=(1, 5)), 'Accuracy cannot be computed for 3 classes: '),
    (SingleLabelMetric(average='weighted'),
     'SingleLabelMetric cannot .* Invalid `average` argument'),
])
def test_what_cannot_be_computed(metric, message):
    with pytest.raises(ConfigError, match=message):
        check_metrics(Namespace(metrics=[metric]), 3)
    check_metrics(Namespace(metrics=[metric]), None)


def test_metrics_that_fit_stay_as_they_were():
    metrics = [
        Accuracy(topk=(1, 3), thrs=(0.5, None)),
        PairVerification(),
        SingleLabelMetric(average=None)
    ]
    check_metrics(Namespace(metrics=metrics), 3)
    assert not any(metric.results for metric in metrics)


def test_several_labels_of_an_image_have_metrics_of_their_own():
    head = 'MultiLabelLinearClsHead'
    assert evaluator_config(['f1_score'], dict(thr=0.3), head) == [
        dict(type='MultiLabelMetric', items=('f1-score', ), thr=0.3)
    ]
    with pytest.raises(
            UserError, match=f"'accuracy' .* {head} predicts several"):
        evaluator_config(['accuracy'], {}, head)
    words = f'SingleLabelMetric .* {head} predicts several: use MultiLabel'
    with pytest.raises(ConfigError, match=words):
        check_metrics(Namespace(metrics=[SingleLabelMetric()]), 3, head)
    other = METRICS.get('AveragePrecision')()
    check_metrics(Namespace(metrics=[other]), 3, head)


@pytest.mark.parametrize('topk', [0, (1, 0), 'one'])
def test_a_rank_is_a_number_from_1_on(topk):
    with pytest.raises(UserError, match='topk=.* makes no sense'):
        evaluator_config(['accuracy'], dict(topk=topk))
