"""Metrics tried before the first batch, on an answer that is made up."""
from __future__ import annotations

import copy

import torch
from mmengine.evaluator import Evaluator

from mmcls_repmlp.host import Accuracy, DataSample, SingleLabelMetric
from mmcls_repmlp.jobs.shared.config import config_errors
from repmlp_lite.errors import ConfigError


def check_metrics(evaluator: Evaluator, outputs: int | None) -> None:
    """Refuse metrics whose options do not go with the model.

    The host looks at most options when it has the answers for all images:
    ``topk`` of more classes than there are, an unknown ``average``.

    Nothing is changed. The model has that many outputs; if there is no telling
    (None), nothing is checked.

    Raises:
        ConfigError: If a metric cannot be computed.
    """
    if outputs is None:
        return
    sample = DataSample().set_gt_label(0).set_pred_score(
        torch.ones(outputs) / outputs).set_pred_label(0).to_dict()
    for metric in evaluator.metrics:
        kind = type(metric)
        if kind not in (Accuracy, SingleLabelMetric):
            continue
        with config_errors(
                f'the metric {kind.__name__} cannot be computed for '
                f'{outputs} classes', RuntimeError, IndexError):
            _check_topk(metric, outputs)
            trial = copy.deepcopy(metric)
            trial.process({}, [sample])
            trial.compute_metrics(trial.results)


def _check_topk(metric: Accuracy | SingleLabelMetric, outputs: int) -> None:
    for k in getattr(metric, 'topk', ()):
        if not isinstance(k, int) or not 1 <= k <= outputs:
            raise ConfigError(f'topk={k!r} is no number of classes from 1 to '
                              f'{outputs}, as many as the model knows')
