"""Train, merge and test a small RepMLPNet on real handwritten digits.

Runs the three commands of the README as a user would, then compares both
forms of the model: a table on the screen, a figure in a file.
"""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from comparison import compare, table
from figure import draw
from make_digits import DEFAULT_FOLDER, write_digits

from mmcls_repmlp.jobs.shared.config import read_config
from repmlp_lite.command_line.run_tool import run_tool

ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'configs/repmlp/repmlp-mini_1xb64_digits-32px.py'
DEPLOY_CONFIG = 'configs/repmlp/repmlp-mini_deploy_1xb64_digits-32px.py'
WORK_DIR = Path('work_dirs/demo')
# Lines of the tools' output that are shown.
_SHOWN = ('training: ', 'epoch ', 'tested ', 'outputs agree', 'form  ')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    return run_tool(parser, _demo, parser.parse_args(argv))


def _demo() -> None:
    start = time.perf_counter()
    os.chdir(ROOT)  # the configs name the data from there
    print(f'handwritten digits as an image folder: '
          f'{write_digits(ROOT / DEFAULT_FOLDER).relative_to(ROOT)}')
    trained, merged = _run_user_commands()
    comparison = compare((ROOT / CONFIG, ROOT / trained),
                         (ROOT / DEPLOY_CONFIG, ROOT / merged))
    print('\n' + table(comparison))
    figure = ROOT / WORK_DIR / 'demo.png'
    draw(comparison, _training_curve(), figure)
    print(f'\nfigure: {figure.relative_to(ROOT)}')
    print(f'done in {time.perf_counter() - start:.0f} s')


def _run_user_commands() -> tuple[Path, Path]:
    epochs = read_config(ROOT / CONFIG).train_cfg.max_epochs
    trained = WORK_DIR / f'epoch_{epochs}.pth'
    merged = WORK_DIR / 'deploy.pth'
    if (ROOT / trained).exists():
        print(f'\n{trained} exists and is reused; to train anew, remove '
              f'{WORK_DIR}')
    else:
        (ROOT / merged).unlink(missing_ok=True)
        # An interrupted demo is resumed.
        interrupted = any((ROOT / WORK_DIR).glob('epoch_*.pth'))
        _run('tools/train.py', CONFIG, '--work-dir', WORK_DIR,
             *['--resume'] * interrupted)
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
    with subprocess.Popen([sys.executable, *words],
                          cwd=ROOT,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          text=True) as process:
        for line in process.stdout:
            lines.append(line)
            if any(part in line for part in _SHOWN):
                print(f'  {line.rstrip()}', flush=True)
    if process.returncode:
        print(''.join(lines[-20:]), file=sys.stderr)
        raise SystemExit(f'{words[0]} failed with exit code '
                         f'{process.returncode}')


def _training_curve() -> list[dict[str, float]]:
    logs = sorted((ROOT / WORK_DIR).glob('*/vis_data/scalars.json'))
    return [
        json.loads(line) for log in logs
        for line in log.read_text().splitlines()
    ]


if __name__ == '__main__':
    sys.exit(main())
