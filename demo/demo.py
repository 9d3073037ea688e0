"""Train, merge and test a small RepMLPNet on real handwritten digits.

Runs the three commands of the README as a user would, then compares both
forms of the model: a table on the screen, a figure in a file.
"""
from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from figure import draw
from make_digits import DEFAULT_FOLDER, write_digits
from mmengine.runner import Runner
from torch import Tensor, nn

from mmcls_repmlp.apis.config import read_config
from mmcls_repmlp.apis.model import load_model
from mmcls_repmlp.deploy import alternating_latency, complexity, speedup

ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'configs/repmlp/repmlp-mini_1xb64_digits-32px.py'
DEPLOY_CONFIG = 'configs/repmlp/repmlp-mini_deploy_1xb64_digits-32px.py'
WORK_DIR = Path('work_dirs/demo')
# What a reader wants to see of the tools' logs.
_SHOWN = ('Epoch(val)', 'Epoch(test)', 'outputs agree', 'form  ')


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
        return tuple(100 * float((out.argmax(1) == self.labels).double()
                                 .mean()) for out in self.logits)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    start = time.perf_counter()
    print(f'handwritten digits as an image folder: '
          f'{write_digits(ROOT / DEFAULT_FOLDER).relative_to(ROOT)}')
    trained, merged = _run_user_commands()
    comparison = compare(trained, merged)
    print('\n' + table(comparison))
    figure = ROOT / WORK_DIR / 'demo.png'
    draw(comparison, _training_curve(), figure)
    print(f'\nfigure: {figure.relative_to(ROOT)}')
    print(f'done in {time.perf_counter() - start:.0f} s')
    return 0


def _run_user_commands() -> tuple[Path, Path]:
    epochs = read_config(ROOT / CONFIG).train_cfg.max_epochs
    trained = WORK_DIR / f'epoch_{epochs}.pth'
    merged = WORK_DIR / 'deploy.pth'
    if (ROOT / trained).exists():
        print(f'\n{trained} is there and is used again; to train anew, remove '
              f'{WORK_DIR}')
    else:
        (ROOT / merged).unlink(missing_ok=True)
        _run('tools/train.py', CONFIG, '--work-dir', WORK_DIR)
    if not (ROOT / merged).exists():
        _run('tools/convert_models/reparameterize_model.py', CONFIG, trained,
             merged)
    for config, checkpoint in ((CONFIG, trained), (DEPLOY_CONFIG, merged)):
        _run('tools/test.py', config, checkpoint, '--metrics', 'accuracy',
             '--work-dir', WORK_DIR / 'test')
    return trained, merged


def _run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    print(f'\n$ python {shlex.join(words)}', flush=True)
    lines = []
    with subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True) as process:
        for line in process.stdout:
            lines.append(line)
            if any(part in line for part in _SHOWN):
                print('  ' + line.split(' - INFO - ')[-1].rstrip(), flush=True)
    if process.returncode:
        print(''.join(lines[-20:]), file=sys.stderr)
        raise SystemExit(f'{words[0]} failed with exit code '
                         f'{process.returncode}')


@torch.inference_mode()
def compare(trained: Path, merged: Path) -> Comparison:
    """Run both forms on all validation images, and time them."""
    models = (load_model(ROOT / CONFIG, ROOT / trained),
              load_model(ROOT / DEPLOY_CONFIG, ROOT / merged))
    images, labels = _validation_images(models[0])
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


def _validation_images(model: nn.Module) -> tuple[Tensor, Tensor]:
    loader_cfg = read_config(ROOT / CONFIG).val_dataloader
    loader_cfg.dataset.data_root = str(ROOT / loader_cfg.dataset.data_root)
    batches = [model.data_preprocessor(batch)
               for batch in Runner.build_dataloader(loader_cfg)]
    labels = [sample.gt_label.label for batch in batches
              for sample in batch['data_samples']]
    return torch.cat([batch['inputs'] for batch in batches]), torch.cat(labels)


def _training_curve() -> list[dict[str, float]]:
    logs = sorted((ROOT / WORK_DIR).glob('*/vis_data/scalars.json'))
    return [json.loads(line) for line in logs[0].read_text().splitlines()]


def table(comparison: Comparison) -> str:
    """Set both forms side by side."""
    milliseconds = [1e3 * statistics.median(seconds)
                    for seconds in comparison.seconds]
    difference = (comparison.logits[0] - comparison.logits[1]).abs().max()
    rows = [
        ('', 'training form', 'deploy form'),
        ('top-1', *(f'{top1:.2f} %' for top1 in comparison.top1)),
        ('parameters', *(f'{n:,}' for n in comparison.params)),
        ('MACs', *(f'{n:,}' for n in comparison.macs)),
        (f'latency, batch {comparison.batch_size}',
         *(f'{ms:.2f} ms' for ms in milliseconds)),
    ]
    lines = [f'{name:20}{a:>16}{b:>16}' for name, a, b in rows]
    lines.insert(1, '-' * len(lines[0]))
    return '\n'.join([
        *lines, '',
        f'largest difference of a logit: {difference:.1e} '
        f'(of {len(comparison.images)} images)',
        f'deploy form is {speedup(*comparison.seconds):.2f} times as fast '
        '(median of alternating passes)'])


if __name__ == '__main__':
    sys.exit(main())
