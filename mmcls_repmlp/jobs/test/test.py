"""Test a checkpoint with the model and data of a config."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmcls_repmlp.checkpoints import load_strictly
from mmcls_repmlp.jobs.shared.config import (build_loop, build_runner,
                                             set_launcher, set_loader_defaults,
                                             set_work_dir)
from mmcls_repmlp.jobs.shared.labels import match_loop, num_classes_of
from mmcls_repmlp.jobs.shared.model import unwrapped
from mmcls_repmlp.jobs.shared.pictures import READABLE, check_folder
from mmcls_repmlp.jobs.shared.show_progress import show_progress
from mmcls_repmlp.jobs.shared.source import open_source
from mmcls_repmlp.jobs.shared.summary import summarize_test
from repmlp_lite.command_line.choices import METRICS
from repmlp_lite.errors import UserError, option
from repmlp_lite.files import atomic_write, check_writable

from .metrics import check_metrics
from .show_predictions import ShowPredictions

_SUFFIXES = {
    'pred': ('.pkl', '.pickle'),
    'metrics': ('.json', '.yaml', '.yml', '.pkl', '.pickle')
}
# Which options the host's metric behind a name takes.
_OPTIONS = {
    'Accuracy': ('topk', 'thrs'),
    'SingleLabelMetric': ('thrs', 'average', 'num_classes')
}


def test(config: str | Path | None,
         checkpoint: str | Path,
         metrics: Sequence[str] = (),
         metric_options: Mapping[str, Any] | None = None,
         out: str | Path | None = None,
         out_item: str = 'pred',
         show_dir: str | None = None,
         tta: bool = False,
         work_dir: str | None = None,
         key: str | None = None,
         cfg_options: Mapping[str, Any] | None = None,
         launcher: str = 'none',
         force: bool = False,
         verbose: bool = True) -> dict[str, float]:
    """Test a checkpoint, which must fit the config's model exactly.

    Args:
        config: Path of the config; None for the one in the checkpoint.
        checkpoint: Path or URL of the checkpoint.
        metrics: Names out of ``choices.METRICS``. Defaults to what the config
            evaluates.
        metric_options: Options of these metrics, such as ``topk``. Defaults
            to none.
        out: File to write predictions or metrics to. Defaults to none.
        out_item: 'pred' or 'metrics'. Defaults to 'pred'.
        show_dir: Folder for images with their predictions. Defaults to none.
        tta: Whether to average over flipped images, or over what the config's
            ``tta_pipeline`` and ``tta_model`` say. Defaults to False.
        work_dir: Folder of logs. Defaults to the config's, or
            ``work_dirs/NAME_OF_CONFIG``.
        key: Checkpoint entry with the weights. Defaults to the only one.
        cfg_options: Settings to change in the config. Defaults to none.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'. Defaults to 'none'.
        force: Whether ``out``, and pictures in ``show_dir``, may be
            replaced. Defaults to False.
        verbose: Whether the screen shows all that the log does, or else a
            summary, a progress bar and the results. Defaults to True.

    Returns:
        Metrics by name.

    Raises:
        UserError: If the config, its data, the checkpoint or an option is not
            usable.
        ImageError: If an image cannot be read.
    """
    source = open_source(config, checkpoint, key, cfg_options)
    cfg, checkpoint = source.cfg, source.checkpoint
    if cfg.get('test_dataloader') is None:
        raise UserError(f'config {str(source.config)!r} has no '
                        'test_dataloader')
    if out is not None:
        _check_out(out, out_item, force)
    if tta and show_dir is not None:
        raise UserError(f'{option("show_dir", ...)} draws images as they are '
                        f'tested, {option("tta")} tests each several times: '
                        'choose one of them')
    if show_dir is not None:
        check_folder(show_dir, force)
        cfg.setdefault('visualizer', dict(type='ClsVisualizer'))
        cfg.visualizer.setdefault('vis_backends',
                                  [dict(type='LocalVisBackend')])
    set_work_dir(cfg, source.config, work_dir)
    cfg.load_from, cfg.resume = None, False  # loaded here, and strictly
    if metrics or metric_options:
        cfg.test_evaluator = _evaluator(metrics, metric_options or {})
    if tta:
        _enable_tta(cfg)
    set_loader_defaults(cfg)
    set_launcher(cfg, launcher)
    runner = build_runner(cfg, verbose)
    model = unwrapped(runner.model)
    load_strictly(model.module if tta else model, source.weights, checkpoint)
    build_loop(runner, 'test')
    match_loop(runner, source.class_names)
    check_metrics(runner.test_evaluator, num_classes_of(runner.model))
    runner.write_config(runner.log_dir)
    if show_dir is not None:
        runner.register_hook(ShowPredictions(show_dir, _side(cfg)))
    summary = partial(summarize_test, checkpoint=checkpoint)
    with nullcontext() if verbose else show_progress(runner, summary):
        return _run(runner, out, out_item, force)


def _run(runner: Runner, out: str | Path | None, out_item: str,
         force: bool) -> dict[str, float]:
    if out is None:
        return runner.test()
    # Predictions are gathered from all processes, so each needs the metric
    # that asks for them; only the main one writes the file.
    main = is_main_process()
    writing = atomic_write(out, force) if main else nullcontext(Path(out))
    with writing as target:
        if out_item == 'pred':
            runner.test_evaluator.metrics.append(DumpResults(str(target)))
        results = runner.test()
        if out_item == 'metrics' and main:
            mmengine.dump(results, str(target))
    print_log(f'{out_item} written to {out}', logger='current')
    return results


def _check_out(out: str | Path, item: str, force: bool) -> None:
    if Path(out).suffix not in _SUFFIXES[item]:
        raise UserError(f'{option("out", repr(str(out)))} cannot hold {item}: '
                        'give it one '
                        f'of the suffixes {", ".join(_SUFFIXES[item])}')
    check_writable(out, force)


def _evaluator(metrics: Sequence[str],
               options: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = tuple(metrics) or ('accuracy', )
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise UserError(f'metric {unknown[0]!r} is unknown: choose from '
                        f'{", ".join(METRICS)}')
    # the host writes f1-score.
    items = tuple(
        name.replace('_', '-') for name in names if name != 'accuracy')
    wanted: dict[str, dict[str, Any]] = {}
    if 'accuracy' in names:
        wanted['Accuracy'] = {}
    if items:
        wanted['SingleLabelMetric'] = dict(items=items)
    known = {name for kind in wanted for name in _OPTIONS[kind]}
    for name, value in options.items():
        if name not in known:
            raise UserError(f'metric option {name!r} is none of '
                            f'{", ".join(names)}: choose from '
                            f'{", ".join(sorted(known))}')
        value = tuple(value) if isinstance(value, list) else value
        for kind in wanted:
            if name in _OPTIONS[kind]:
                wanted[kind][name] = value
    return [dict(type=kind, **args) for kind, args in wanted.items()]


def _side(cfg: Config) -> int:
    model = cfg.model.get('module', cfg.model)
    size = model.get('backbone', {}).get('img_size', READABLE)
    return size if isinstance(size, int) else min(size)


def _enable_tta(cfg: Config) -> None:
    pipeline = cfg.test_dataloader.dataset.pipeline
    cfg.setdefault('tta_model', dict(type='AverageClsScoreTTA'))
    if 'tta_pipeline' not in cfg:
        flips = [dict(type='RandomFlip', prob=prob) for prob in (1., 0.)]
        cfg.tta_pipeline = copy.deepcopy(pipeline[:-1]) + [
            dict(type='TestTimeAug', transforms=[flips, [pipeline[-1]]])
        ]
    cfg.model = dict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
