"""Metrics of a test: from their names, and tried before the first batch."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import Evaluator

from mmcls_repmlp.host import DataSample
from repmlp_lite.command_line.choices import METRICS
from repmlp_lite.errors import ConfigError, UserError, translate

# Options of the host's metrics.
_OPTIONS = {
    'Accuracy': ('topk', 'thrs'),
    'SingleLabelMetric': ('thrs', 'average', 'num_classes'),
    'MultiLabelMetric': ('thr', 'topk', 'average')
}


def evaluator_config(metrics: Sequence[str],
                     options: Mapping[str, Any],
                     head: str = '') -> list[dict[str, Any]]:
    """Convert names of ``choices.METRICS`` and options to a test evaluator.

    ``head`` is the type of the model's head: several labels of an image have
    metrics of their own.
    """
    several = _has_several_labels(head)
    names = tuple(metrics) or ('precision' if several else 'accuracy', )
    if several and 'accuracy' in names:
        raise UserError(
            f"metric 'accuracy' is for one label per image, and {head} "
            'predicts several: choose from precision, recall, f1_score and '
            'support, or name none for those of the config')
    # The host writes f1-score.
    items = tuple(
        name.replace('_', '-') for name in names if name != 'accuracy')
    kinds: dict[str, dict[str, Any]] = {}
    if 'accuracy' in names:
        kinds['Accuracy'] = {}
    if items:
        kinds['MultiLabelMetric' if several else 'SingleLabelMetric'] = dict(
            items=items)
    known = {name for kind in kinds for name in _OPTIONS[kind]}
    for what, given, choices in (('metric', names, METRICS),
                                 ('metric option', options, sorted(known))):
        unknown = [name for name in given if name not in choices]
        if unknown:
            raise UserError(f'{what} {unknown[0]!r} is unknown: choose from '
                            f'{", ".join(choices)}')
    topk = options.get('topk', 1)
    if any(not isinstance(k, int) or k < 1
           for k in (topk if isinstance(topk, (list, tuple)) else [topk])):
        raise UserError(f'metric option topk={topk!r} makes no sense: give '
                        'numbers from 1 on')
    for kind, settings in kinds.items():
        settings.update((name, options[name]) for name in _OPTIONS[kind]
                        if name in options)
    return [dict(type=kind, **settings) for kind, settings in kinds.items()]


def _has_several_labels(head: str) -> bool:
    return 'MultiLabel' in head or 'CSRA' in head


def check_metrics(evaluator: Evaluator,
                  outputs: int | None,
                  head: str = '') -> None:
    """Raise ConfigError if options of metrics do not fit a model.

    The host checks most of them only after the last batch. Copies of its
    metrics evaluate a made-up prediction here, if ``outputs`` is known.
    """
    if outputs is None:
        return
    sample = DataSample().set_gt_label(0).set_pred_score(
        torch.ones(outputs) / outputs).set_pred_label(0).to_dict()
    for metric in evaluator.metrics:
        name = type(metric).__name__
        if _has_several_labels(head) and name in ('Accuracy',
                                                  'SingleLabelMetric'):
            raise ConfigError(
                f'the metric {name} of test_evaluator is for one label per '
                f'image, and {head} predicts several: use MultiLabelMetric or '
                'AveragePrecision')
        if name in ('Accuracy', 'SingleLabelMetric'):
            with translate(
                    ConfigError, f'the metric {name} cannot be computed for '
                    f'{outputs} classes', Exception):
                trial = copy.deepcopy(metric)
                trial.process({}, [sample])
                trial.compute_metrics(trial.results)
