"""Test whether a model's features tell identities apart, pair by pair."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor

from mmcls_repmlp.host import gt_labels
from mmcls_repmlp.recipe import Verification, verify
from repmlp_lite.files import atomic_write, check_suffix, check_writable

from .shared.data import batches, loader_config, open_loader
from .shared.source import open_source

_RATES = (1e-3, 1e-2, 1e-1)


def verify_pairs(config: str | Path | None,
                 checkpoint: str | Path,
                 folder: str | Path | None = None,
                 out: str | Path | None = None,
                 max_pairs: int = 6000,
                 device: str = 'cpu',
                 key: str | None = None,
                 cfg_options: Mapping[str, Any] | None = None,
                 force: bool = False,
                 report: Callable[[str], None] = print) -> Verification:
    """Compare the features of pairs of images, same and different identities.

    Args:
        config: Path of the config; None for the one in the checkpoint.
        checkpoint: Path or URL of a checkpoint that fits it.
        folder: Folder of images, a subfolder for each identity, which need
            not be those trained on. Defaults to the config's test data.
        out: Picture of the ROC curve, .png. Defaults to none.
        max_pairs: Most pairs to draw. Defaults to 6000.
        device: Where the model runs. Defaults to 'cpu'.
        key: Entry of the checkpoint that holds the weights. Defaults to the
            only one.
        cfg_options: Settings to change in the config. Defaults to none.
        force: Whether ``out`` may be replaced. Defaults to False.
        report: Called with the findings. Defaults to print.

    Returns:
        Accuracy and curve.

    Raises:
        UserError: If something given is not usable, or the folder gives too
            few pairs.
        ImageError: If an image cannot be read.
    """
    if out is not None:
        check_suffix(out, ('.png', ), 'the curve')
        check_writable(out, force)
    source = open_source(config, checkpoint, key, cfg_options)
    loader = loader_config(source.cfg, 'test')
    if folder is not None:
        loader.dataset = dict(
            type='ImageFolder',
            data_root=str(folder),
            pipeline=loader.dataset.pipeline)
    found = verify(*_embed(source.load_model(device), source.cfg), max_pairs)
    report(_describe(found))
    if out is not None:
        with atomic_write(out, force) as temporary:
            _draw(found).savefig(temporary, format='png', dpi=120)
        report(f'curve drawn to {out}')
    return found


@torch.inference_mode()
def _embed(model: BaseModel, cfg: Config) -> tuple[Tensor, Tensor]:
    embeddings, labels = [], []
    for batch in batches(open_loader(cfg, 'test')):
        data = model.data_preprocessor(batch)
        feats = model.head.pre_logits(model.extract_feat(data['inputs']))
        embeddings.append(feats.flatten(1).cpu())  # (N, D)
        labels += [int(gt_labels(sample)) for sample in data['data_samples']]
    return torch.cat(embeddings), torch.tensor(labels)


def _describe(found: Verification) -> str:
    rates = ', '.join(f'{found.roc.true_rate_at(rate):.1%} at {rate:g}'
                      for rate in _RATES)
    return (f'{found.pairs} pairs, half of them of one identity\n'
            f'accuracy {found.accuracy:.2%} +- {found.deviation:.2%}, ten '
            f'folds, cosine from {found.threshold:.3f}\n'
            f'area below the ROC curve {found.roc.area:.4f}\n'
            f'true rate at a false rate: {rates}')


def _draw(found: Verification) -> Figure:
    figure = Figure((6, 4), layout='constrained')
    axes, curve = figure.subplots(), found.roc
    chance = torch.logspace(-5, 0, 50)
    axes.plot(
        curve.false_rate,
        curve.true_rate,
        drawstyle='steps-post',
        label=f'area {curve.area:.4f}')
    axes.plot(chance, chance, ':', color='grey', label='by chance')
    # Fewer false alarms than one among all pairs cannot be seen.
    axes.set(
        xlabel='different identities taken for one',
        xscale='log',
        ylabel='one identity recognised',
        xlim=(2 / found.pairs, 1),
        ylim=(0, 1.01),
        title=f'{found.pairs} pairs, accuracy {found.accuracy:.2%}')
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right')
    return figure
