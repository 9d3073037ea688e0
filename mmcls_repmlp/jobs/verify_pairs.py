"""Test whether a model's features tell identities apart, pair by pair."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor

from mmcls_repmlp.host import gt_labels
from mmcls_repmlp.recipe import Verification, verify
from repmlp_lite.console import say
from repmlp_lite.files import atomic_write, check_suffix, check_writable

from .shared.data import batches, describe_data, loader_config, open_loader
from .shared.source import open_source


def verify_pairs(config: str | Path | None,
                 checkpoint: str | Path,
                 folder: str | Path | None = None,
                 *,
                 out: str | Path | None = None,
                 max_pairs: int = 6000,
                 device: str = 'cpu',
                 key: str | None = None,
                 cfg_options: Mapping[str, Any] | None = None,
                 force: bool = False) -> Verification:
    """Compare features of pairs of images of the same or other identities.

    Args:
        config: As of :func:`open_source`.
        checkpoint: As of :func:`open_source`.
        folder: Folder of images with a subfolder for each identity, trained
            on or not. Defaults to the config's test data.
        out: Picture of the ROC curve, .png. Defaults to none.
        max_pairs: Largest number of pairs to compare. Defaults to 6000.
        device: Where the model runs. Defaults to 'cpu'.
        key: As of :func:`open_source`.
        cfg_options: As of :func:`open_source`.
        force: Whether ``out`` may be replaced. Defaults to False.

    Returns:
        Accuracy and curve.

    Raises:
        UserError: If an argument cannot be used, or there are too few pairs.
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
    result = verify(*_embed(source.load_model(device), source.cfg), max_pairs)
    roc = result.roc
    rates = ', '.join(f'{roc.true_rate_at(rate):.1%} at {rate:g}'
                      for rate in (1e-3, 1e-2, 1e-1))
    say(
        f'{result.pairs} pairs, half of them of the same identity',
        f'accuracy {result.accuracy:.2%} +- {result.deviation:.2%}, ten '
        f'folds, cosine from {result.threshold:.3f}',
        f'area under the ROC curve {roc.area:.4f}',
        f'true accept rate at a false accept rate: {rates}')
    if out is not None:
        with atomic_write(out, force) as temporary:
            _draw(result).savefig(temporary, format='png', dpi=120)
        say(f'curve drawn to {out}')
    return result


@torch.inference_mode()
def _embed(model: BaseModel, cfg: Config) -> tuple[Tensor, Tensor]:
    embeddings, labels = [], []
    loader = open_loader(cfg, 'test')
    say(describe_data(loader.dataset))
    for batch in batches(loader):
        data = model.data_preprocessor(batch)
        feats = model.head.pre_logits(model.extract_feat(data['inputs']))
        embeddings.append(feats.flatten(1).cpu())  # (N, D)
        labels += [int(gt_labels(sample)) for sample in data['data_samples']]
    return torch.cat(embeddings), torch.tensor(labels)


def _draw(result: Verification) -> Figure:
    figure = Figure((6, 4), layout='constrained')
    axes, roc = figure.subplots(), result.roc
    axes.step(
        roc.false_rate,
        roc.true_rate,
        where='post',
        label=f'area {roc.area:.4f}')
    chance = torch.logspace(-5, 0, 50)
    axes.plot(chance, chance, ':', color='grey', label='by chance')
    axes.set(
        xlabel='false accept rate',
        xscale='log',
        ylabel='true accept rate',
        xlim=(2 / result.pairs, 1),  # one false alarm among all pairs
        ylim=(0, 1.01),
        title=f'{result.pairs} pairs, accuracy {result.accuracy:.2%}')
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right')
    return figure
