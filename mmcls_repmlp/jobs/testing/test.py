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
from mmengine.runner import Runner

from mmcls_repmlp.checkpoints import load_strictly
from mmcls_repmlp.jobs.shared.config import set_launcher
from mmcls_repmlp.jobs.shared.data import (build_loop, loader_config,
                                           normalization_of, reads_bgr,
                                           warn_of_trained_images)
from mmcls_repmlp.jobs.shared.device import choose_device
from mmcls_repmlp.jobs.shared.labels import (match_loop, names_of,
                                             num_classes_of)
from mmcls_repmlp.jobs.shared.model import unwrap
from mmcls_repmlp.jobs.shared.own_folder import use_test_folder
from mmcls_repmlp.jobs.shared.pictures import check_folder
from mmcls_repmlp.jobs.shared.runner import (build_runner, report_to_console,
                                             summarize_test)
from mmcls_repmlp.jobs.shared.source import open_source
from mmcls_repmlp.jobs.shared.work_dir import set_work_dir, write_test_config
from repmlp_lite.console import say
from repmlp_lite.errors import UserError, option
from repmlp_lite.files import atomic_write, check_suffix, check_writable

from .confusion_matrix import add_matrix, write_matrix
from .metrics import check_metrics, evaluator_config
from .mistakes import add_mistakes, write_mistakes
from .results import write_results
from .show_predictions import ShowPredictions

_SUFFIXES = {
    'pred': ('.pkl', '.pickle'),
    'metrics': ('.json', '.yaml', '.yml', '.pkl', '.pickle')
}


def test(config: str | Path | None,
         checkpoint: str | Path,
         *,
         metrics: Sequence[str] = (),
         metric_options: Mapping[str, Any] | None = None,
         out: str | Path | None = None,
         out_item: str | None = None,
         show_dir: str | None = None,
         tta: bool = False,
         data: str | Path | None = None,
         work_dir: str | None = None,
         key: str | None = None,
         cfg_options: Mapping[str, Any] | None = None,
         launcher: str = 'none',
         device: str | None = None,
         pictures: bool = True,
         force: bool = False,
         verbose: bool = True,
         brief: bool = False) -> dict[str, float]:
    """Test a checkpoint, which must fit the config's model exactly.

    The log folder of the test gets its config, ``results.json`` and, if single
    labels are evaluated, ``confusion_matrix.csv`` and ``.png``, and
    ``mistakes.png``.

    Args:
        config: As of :func:`open_source`.
        checkpoint: As of :func:`open_source`.
        metrics: Names out of ``choices.METRICS``. Defaults to the config's.
        metric_options: Options of these metrics. Defaults to none.
        out: File to write predictions or metrics to. Defaults to none.
        out_item: 'pred' or 'metrics', for ``out``. Defaults to 'pred'.
        show_dir: Folder for images with their predictions. Defaults to none.
        tta: Whether to average over the views of ``tta_pipeline``, or flips.
        data: Folder of photos to test on, see :func:`use_test_folder`.
            Defaults to the config's test data.
        work_dir: Folder of logs. Defaults to ``work_dirs/NAME_OF_CONFIG``.
        key: Checkpoint entry with the weights. Defaults to the only one.
        cfg_options: Settings to change in the config. Defaults to none.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'. Defaults to 'none'.
        device: 'cpu', 'cuda' or 'cuda:N'. Defaults to a GPU if there is one.
        pictures: Whether pictures are drawn. Defaults to True.
        force: Whether what is there may be replaced. Defaults to False.
        verbose: Whether the screen shows the full log. Defaults to True.
        brief: Whether it shows the checkpoint in place of a summary. Defaults
            to False.

    Returns:
        Metrics by name.

    Raises:
        UserError: If an argument, the config or its data is not usable.
        ImageError: If an image cannot be read.
    """
    _check_outputs(out, out_item, show_dir, tta, force)
    source = open_source(config, checkpoint, key, cfg_options)
    cfg = source.cfg
    loader_config(cfg, 'test')
    if data is not None:
        use_test_folder(cfg, data)
    set_work_dir(cfg, source.config, work_dir
                 or (cfg_options or {}).get('work_dir'))
    cfg.load_from, cfg.resume = None, False  # loaded here, and strictly
    if metrics or metric_options:
        cfg.test_evaluator = evaluator_config(
            metrics, metric_options or {},
            str((cfg.model.get('head') or {}).get('type')))
    if tta:
        _enable_tta(cfg)
    on_gpu = choose_device(cfg, device, launcher)
    set_launcher(cfg, launcher)
    runner = build_runner(cfg, verbose, on_gpu)
    model = unwrap(runner.model)
    load_strictly(model.module if tta else model, source.weights,
                  source.checkpoint)
    build_loop(runner, 'test')
    match_loop(runner, source.class_names)
    warn_of_trained_images(cfg, runner.test_dataloader.dataset)
    check_metrics(runner.test_evaluator, num_classes_of(model),
                  type(getattr(model, 'head', None)).__name__)
    write_test_config(cfg, runner.log_dir)
    if show_dir is not None:
        runner.register_hook(ShowPredictions(show_dir))
    summary = partial(summarize_test, checkpoint=source.checkpoint)
    with report_to_console(
            runner,
        (lambda _: [f'testing {checkpoint}']) if brief else summary):
        return _run(runner, out, out_item or 'pred', force, pictures)


def _check_outputs(out: str | Path | None, out_item: str | None,
                   show_dir: str | None, tta: bool, force: bool) -> None:
    if out is None and out_item is not None:
        raise UserError(f'{option("out_item", out_item)} needs '
                        f'{option("out", "FILE")}: name a file')
    if out is not None:
        out_item = out_item or 'pred'
        check_suffix(out, _SUFFIXES[out_item], f'the {out_item}')
        check_writable(out, force)
    if tta and show_dir is not None:
        raise UserError(f'{option("show_dir", ...)} draws images as they are '
                        f'tested, {option("tta")} tests each several times: '
                        'choose one of them')
    if show_dir is not None:
        check_folder(show_dir, force)


def _run(runner: Runner, out: str | Path | None, out_item: str, force: bool,
         pictures: bool) -> dict[str, float]:
    evaluator, main = runner.test_evaluator, is_main_process()
    matrix = add_matrix(evaluator)
    mistakes = add_mistakes(evaluator) if matrix and pictures else None
    # Predictions are gathered from all processes, so each needs the metric
    # that asks for them; only the main one writes the file.
    with (atomic_write(out, force) if out is not None and main else
          nullcontext(Path(out or ''))) as target:
        if out is not None and out_item == 'pred':
            evaluator.metrics.append(DumpResults(str(target)))
        results = runner.test()
        if out is not None and out_item == 'metrics' and main:
            mmengine.dump(results, str(target))
    if main:
        dataset, folder = runner.test_dataloader.dataset, runner.log_dir
        counts = None if matrix is None else matrix.counts
        written, classes = ['results.json'], names_of(dataset)
        if counts is not None:
            write_matrix(counts, classes, folder, pictures)
            written.append('confusion_matrix.csv' + ' and .png' * pictures)
        if mistakes and mistakes.kept:
            write_mistakes(mistakes.kept, classes, reads_bgr(dataset), folder,
                           normalization_of(dataset))
            written.append('mistakes.png')
        write_results(results, folder, counts, classes)
        say(f'results: {folder}: {", ".join(written)}')
    if out is not None:
        say(f'{out_item} written to {out}')
    return results


def _enable_tta(cfg: Config) -> None:
    pipeline = cfg.test_dataloader.dataset.get('pipeline')
    head = str((cfg.model.get('head') or {}).get('type'))
    if not pipeline or 'Arc' in head or 'AMSoftmax' in head:
        raise UserError(
            f'{option("tta")} averages scores of classes over views of an '
            'image, and needs a data set of images without a wrapper and a '
            f'head of class scores, not {head}: leave it out')
    cfg.setdefault('tta_model', dict(type='AverageClsScoreTTA'))
    if 'tta_pipeline' not in cfg:
        flips = [dict(type='RandomFlip', prob=prob) for prob in (1., 0.)]
        cfg.tta_pipeline = copy.deepcopy(pipeline[:-1]) + [
            dict(type='TestTimeAug', transforms=[flips, [pipeline[-1]]])
        ]
    cfg.model = dict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
