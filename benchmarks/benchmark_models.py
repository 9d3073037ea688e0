"""Time models side by side."""
from __future__ import annotations

import csv
import gc
import io
import os
import re
import statistics
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
import torch
from candidates import build_candidate
from peak_memory import peak_memory

from mmcls_repmlp.host import NAME
from mmcls_repmlp.jobs.shared.config import config_errors
from mmcls_repmlp.jobs.shared.device import warn_of_slow_bfloat16
from mmcls_repmlp.reparam import speedup
from mmcls_repmlp.reparam.latency import alternate
from repmlp_lite.console import say, track
from repmlp_lite.errors import UserError
from repmlp_lite.files import atomic_write

_PACKAGES = ('torch', NAME, 'onnxruntime', 'openvino')
_WIDTH = 36  # of the names of candidates
_TRAINING_FACTOR = 3  # multiplications of a training step over inference


@dataclass(frozen=True)
class Row:
    """Measurements of one candidate.

    Attributes:
        name: The candidate.
        arch: Name of the variant.
        img_size: Image size.
        batch: Images in a batch.
        dtype: Name of the dtype.
        milliseconds: Median time of a batch.
        ratio: Median time of the first candidate, as multiple of this one's.
        paired: Median of the ratios of neighbouring runs, which noise moves
            less.
        images_per_second: Images per second.
        gflops: Speed in GFLOP/s.
        peak_share: Speed relative to a large matrix product in this process.
        peak_mib: Peak memory beyond weights and images, in MiB.
        top_1: Published accuracy in per cent, if any.
    """
    name: str
    arch: str
    img_size: int
    batch: int
    dtype: str
    milliseconds: float
    ratio: float
    paired: float
    images_per_second: float
    gflops: float
    peak_share: float
    peak_mib: float | None
    top_1: float | None


def benchmark(candidates: Sequence[str],
              *,
              arch: str = 'b',
              img_sizes: Sequence[int] = (224, ),
              batches: Sequence[int] = (8, ),
              dtype: str = 'float32',
              rounds: int = 9,
              out_dir: str | Path | None = None) -> list[Row]:
    """Time candidates in turn, in one process, for every size.

    Args:
        candidates: Such as 'rc6:deploy' and 'ours:fused'; the first sets the
            scale.
        arch: Name of the variant. Defaults to 'b'.
        img_sizes: Image sizes. Defaults to 224.
        batches: Batch sizes. Defaults to 8.
        dtype: Name of the dtype. Defaults to 'float32'.
        rounds: Number of timed runs of each. Defaults to 9.
        out_dir: Folder for ``benchmark.csv`` and ``benchmark.png``. Defaults
            to None: no files.

    Returns:
        A row of each candidate for every size and batch.

    Raises:
        UserError: If a candidate is unknown or a number is not positive.
    """
    if min(*img_sizes, *batches, rounds) < 1:
        raise UserError('image sizes, batches and rounds must be positive')
    say(environment())
    if dtype == 'bfloat16':
        warn_of_slow_bfloat16('time float32')
    peak = matmul_gflops(getattr(torch, dtype))
    say(f'matrix product of 2048x2048 in {dtype}: {peak:.0f} GFLOP/s')
    rows = [
        row
        for img_size, batch in product(img_sizes, batches) for row in _compare(
            candidates, arch, img_size, batch, dtype, rounds, peak)
    ]
    say(*table(rows).splitlines())
    if out_dir is not None:
        _write_csv(rows, Path(out_dir, 'benchmark.csv'))
        draw = _draw_accuracy if all(
            row.top_1
            for row in rows) and len({row.top_1
                                      for row in rows}) > 1 else _draw
        draw(rows, Path(out_dir, 'benchmark.png'))
        say(f'written to {out_dir}')
    return rows


def _compare(names: Sequence[str], arch: str, img_size: int, batch: int,
             dtype: str, rounds: int, peak: float) -> Iterator[Row]:
    images = torch.randn(
        batch,
        3,
        img_size,
        img_size,
        generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype))
    with config_errors('the model cannot be built'):
        found = [
            build_candidate(name, arch, img_size, images) for name in names
        ]
    rows = track(
        alternate(*(one.run for one in found), rounds=rounds, warm_up=2),
        f'{img_size} px, batch {batch}',
        rounds,
        unit='rounds')
    seconds = [*map(list, zip(*rows))]
    for name, one, times in zip(names, found, seconds):
        gc.collect()
        work = 2e-9 * one.macs * batch * (
            _TRAINING_FACTOR if 'train-step' in name else 1)
        median = statistics.median(times)
        memory = peak_memory(one.run)
        yield Row(name, arch, img_size, batch, dtype, 1e3 * median,
                  statistics.median(seconds[0]) / median,
                  speedup(seconds[0], times), batch / median, work / median,
                  work / median / peak,
                  None if memory is None else memory / 2**20, one.top_1)


def matmul_gflops(dtype: torch.dtype, size: int = 2048) -> float:
    """Measure the speed of a large matrix product: the machine's ceiling."""
    a, b = torch.randn(2, size, size).to(dtype)
    times = alternate(lambda: a @ b, rounds=10)
    return 2e-9 * size**3 / min(times)[0]


def table(rows: Sequence[Row]) -> str:
    """Format the rows as a table."""
    lines = [
        f'{"":{_WIDTH}}{"size":>5}{"batch":>6}{"ms":>10}{"ratio":>7}'
        f'{"paired":>8}{"images/s":>10}{"GFLOP/s":>9}{"of peak":>8}{"MiB":>8}'
        f'{"top-1":>7}'
    ]
    for row in rows:
        memory = '' if row.peak_mib is None else f'{row.peak_mib:.0f}'
        lines.append(
            f'{row.name:{_WIDTH}}{row.img_size:5}{row.batch:6}'
            f'{row.milliseconds:10.1f}{row.ratio:7.2f}{row.paired:8.2f}'
            f'{row.images_per_second:10.1f}{row.gflops:9.0f}'
            f'{row.peak_share:8.0%}{memory:>8}' +
            (f'{row.top_1:7.2f}' if row.top_1 else ''))
    lines.append(
        'ms: medians; ratio: of the two medians; paired: median of the '
        'ratios of neighbouring runs')
    return '\n'.join(lines)


def environment() -> str:
    """Describe the environment: versions, threads, CPU."""
    found = []
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f'{package} {version(package)}')
    return (f'{", ".join(found)}; {torch.get_num_threads()} threads, '
            f'{os.cpu_count()} cores; CPU capability '
            f'{torch.backends.cpu.get_cpu_capability()}')


def _write_csv(rows: Sequence[Row], path: Path) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, asdict(rows[0]))
    writer.writeheader()
    writer.writerows(map(asdict, rows))
    with atomic_write(path, force=True) as temporary:
        temporary.write_text(text.getvalue())


def _draw(rows: Sequence[Row], path: Path) -> None:
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, (bars, lines) = plt.subplots(
        1, 2, figsize=(11, 4), layout='constrained')
    names = list(dict.fromkeys(row.name for row in rows))
    many_sizes = len({row.img_size for row in rows}) > 1
    key, label = (('img_size', 'image size in pixels') if many_sizes else
                  ('batch', 'batch size'))
    for i, name in enumerate(names):
        own = [row for row in rows if row.name == name]
        _draw_bars(bars, own, i, len(names))
        lines.plot([getattr(row, key) for row in own],
                   [row.milliseconds / row.batch for row in own],
                   marker='o',
                   label=name)
    lines.set(
        xlabel=label,
        xticks=sorted({getattr(row, key)
                       for row in rows}),
        ylabel='ms per image',
        ylim=(0, 1.3 * max(row.milliseconds / row.batch for row in rows)),
        title='time per image')
    bars.set(
        ylabel='images per second',
        ylim=(0, 1.3 * max(row.images_per_second for row in rows)),
        title=f'RepMLP-{str(rows[0].arch).upper()}, {rows[0].dtype}: '
        f'speed, and multiple of {names[0]}')
    for axes in (bars, lines):
        axes.legend()
    with atomic_write(path, force=True) as temporary:
        figure.savefig(temporary, format='png', dpi=120)
    plt.close(figure)


def _draw_accuracy(rows: Sequence[Row], path: Path) -> None:
    """Draw published accuracies over times, a panel for each batch size."""
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    batches = sorted({row.batch for row in rows})
    figure, panels = plt.subplots(
        1,
        len(batches),
        figsize=(6 * len(batches), 4.5),
        layout='constrained',
        squeeze=False)
    for batch, axes in zip(batches, panels[0]):
        for row in (row for row in rows if row.batch == batch):
            own = row.name.startswith('ours')
            at = row.milliseconds / batch, row.top_1
            axes.plot(*at, 's' if own else 'o', color=f'C{int(own)}')
            axes.annotate(
                _short(row.name),
                at, (-7 if own else 7, -3),
                textcoords='offset points',
                ha='right' if own else 'left',
                fontsize=9)
        axes.set(
            xlabel='ms per image',
            ylabel='published top-1 (%)',
            title=f'batch {batch}, {rows[0].dtype}')
        axes.margins(0.3, 0.1)
        axes.set_xlim(left=0)
    with atomic_write(path, force=True) as temporary:
        figure.savefig(temporary, format='png', dpi=120)
    plt.close(figure)


def _short(name: str) -> str:
    """Shorten 'timm:swin_tiny_patch4_window7_224' to 'swin_tiny'."""
    return re.sub(r'^(timm|host):|_(224|patch\d+|window\d+)(?=_|$)', '', name)


def _draw_bars(axes: Any, rows: Sequence[Row], i: int, count: int) -> None:
    places = [
        x + (i - (count - 1) / 2) * 0.8 / count for x in range(len(rows))
    ]
    drawn = axes.bar(
        places, [row.images_per_second for row in rows],
        width=0.8 / count,
        label=rows[0].name)
    axes.bar_label(drawn, [f'{row.ratio:.2f}x' for row in rows])
    axes.set_xticks(
        range(len(rows)),
        [f'{row.img_size} px, batch {row.batch}' for row in rows])
