"""Comparison of both forms of a model on real images."""
from __future__ import annotations

import statistics
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from mmcls_repmlp.host import gt_labels
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.source import open_source
from mmcls_repmlp.reparam import alternating_latency, complexity


class Comparison(NamedTuple):
    """Both forms on the validation images: training form first.

    Attributes:
        images: Preprocessed images of shape (N, 3, H, W).
        labels: True classes of shape (N,).
        logits: Outputs of both forms, each of shape (N, 10).
        seconds: Times of single passes of both forms.
        batch_size: Images in such a pass.
        params: Parameters of both forms.
        macs: MACs per image of both forms.
    """
    images: Tensor
    labels: Tensor
    logits: tuple[Tensor, Tensor]
    seconds: tuple[list[float], list[float]]
    batch_size: int
    params: tuple[int, int]
    macs: tuple[int, int]

    @property
    def top1(self) -> tuple[float, float]:
        """Accuracy of both forms in percent."""
        return tuple(100 *
                     float((out.argmax(1) == self.labels).double().mean())
                     for out in self.logits)


@torch.inference_mode()
def compare(trained: tuple[Path, Path], merged: tuple[Path,
                                                      Path]) -> Comparison:
    """Run both forms on all validation images, and time them.

    Args:
        trained: Config and checkpoint of the training form.
        merged: Config and checkpoint of the deploy form.

    Returns:
        The measurements.
    """
    models = [open_source(*files).load_model() for files in (trained, merged)]
    images, labels = _validation_images(trained[0], models[0])
    counts = [complexity(model, tuple(images.shape[1:])) for model in models]
    batch = images[:64]
    return Comparison(
        images,
        labels,
        logits=tuple(model(images) for model in models),
        seconds=alternating_latency(*models, batch),
        batch_size=len(batch),
        params=tuple(count.params for count in counts),
        macs=tuple(count.macs for count in counts))


def _validation_images(config: Path,
                       model: nn.Module) -> tuple[Tensor, Tensor]:
    loader = Runner.build_dataloader(read_config(config).val_dataloader)
    batches = [model.data_preprocessor(batch) for batch in loader]
    labels = [
        gt_labels(sample) for batch in batches
        for sample in batch['data_samples']
    ]
    return torch.cat([batch['inputs'] for batch in batches]), torch.cat(labels)


def table(comparison: Comparison) -> str:
    """Format both forms as a table."""
    milliseconds = [
        1e3 * statistics.median(seconds) for seconds in comparison.seconds
    ]
    ratio = milliseconds[0] / milliseconds[1]
    difference = (comparison.logits[0] - comparison.logits[1]).abs().max()
    rows = [
        ('', 'training form', 'deploy form'),
        ('top-1', *(f'{top1:.2f} %' for top1 in comparison.top1)),
        ('parameters', *(f'{n:,}' for n in comparison.params)),
        ('MACs', *(f'{n:,}' for n in comparison.macs)),
        (f'latency, batch {comparison.batch_size}', *(f'{ms:.2f} ms'
                                                      for ms in milliseconds)),
    ]
    lines = [f'{name:20}{a:>16}{b:>16}' for name, a, b in rows]
    lines.insert(1, '-' * len(lines[0]))
    return '\n'.join([
        *lines, '', f'largest difference of a logit: {difference:.1e} '
        f'(of {len(comparison.images)} images)',
        f'deploy form is {ratio:.2f} times as fast (latencies are medians of '
        'alternating passes)'
    ])
