from types import SimpleNamespace as Namespace

import pytest

from mmcls_repmlp.host import Accuracy, SingleLabelMetric
from mmcls_repmlp.jobs.test.metrics import check_metrics
from mmcls_repmlp.recipe import PairVerification
from repmlp_lite.errors import ConfigError


@pytest.mark.parametrize(('metric', 'message'), [
    (Accuracy(topk=(1, 5)), 'topk=5 is no number of classes from 1 to 3'),
    (Accuracy(topk=0), 'topk=0'),
    (Accuracy(topk='a'), "topk='a'"),
    (Accuracy(thrs='x'), 'Accuracy cannot be computed for 3 classes'),
    (SingleLabelMetric(average='weighted'),
     'SingleLabelMetric cannot .* Invalid `average` argument'),
])
def test_what_cannot_be_computed(metric, message):
    with pytest.raises(ConfigError, match=message):
        check_metrics(Namespace(metrics=[metric]), 3)
    check_metrics(Namespace(metrics=[metric]), None)


def test_what_can_and_is_left_as_it_was():
    metrics = [Accuracy(topk=(1, 3), thrs=(0.5, None)), PairVerification()]
    for average in ('micro', 'macro', None):
        metrics.append(SingleLabelMetric(average=average))
    check_metrics(Namespace(metrics=metrics), 3)
    assert not any(metric.results for metric in metrics)
