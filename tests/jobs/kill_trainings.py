"""Kill a training at random moments, resume it, and say what is left.

Run by ``test_kills.py`` in a process of its own, which imports all this once
and forks a process for every training: CONFIG, WORK_DIR and KILLS are its
arguments, a JSON list of what was found after every kill its output.
"""
import json
import os
import random
import signal
import sys
import threading
from pathlib import Path

import matplotlib.pyplot  # noqa: F401  (else every process imports them)
import mmengine.runner.runner as runner_module
import torch
import torch._dynamo
from mmengine.config import Config

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import CheckpointError

EPOCH = 20  # iterations
# Most kills come within this many dealings with files in the work dir.
_EVENTS, _DELAY = 150, 0.004


def kill_at(work_dir, number, delay):
    """Kill this process some time after its so many-th file is touched."""

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def hook(event, arguments):
        nonlocal number
        if event in ('open', 'os.rename', 'os.remove', 'os.rmdir') and str(
                arguments[0]).startswith(work_dir):
            number -= 1
            if number == 0:
                threading.Timer(delay, die).start() if delay else die()

    sys.addaudithook(hook)


def train_until_killed(config, work_dir, epochs, number=0, delay=0):
    """Resume the training in a process of its own; return how it ended."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        with open(f'{work_dir}.log', 'a') as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        if number:
            kill_at(work_dir, number, delay)
        train(
            config,
            work_dir,
            resume='auto',
            seed=0,
            cfg_options={'train_cfg.max_epochs': epochs})
        os._exit(0)
    finally:
        import traceback
        traceback.print_exc()
        os._exit(1)


def look(work_dir):
    """Say which checkpoints are whole, and what else lies about."""
    whole, torn = [], []
    for path in Path(work_dir).glob('iter_*.pth'):
        try:
            read_checkpoint(path)
            whole.append(int(path.stem.split('_')[1]))
        except CheckpointError:
            torn.append(path.name)
    last = Path(work_dir, 'last_checkpoint')
    return dict(
        whole=sorted(whole),
        torn=torn,
        scratch=len([*Path(work_dir).glob('.mmcls_repmlp-*')]),
        last=last.read_text() if last.exists() else None)


def main(config, work_dir, kills):
    """Kill, look, and in the end let it finish."""
    torch.set_num_threads(1)
    # Both take far longer than the trainings here.
    Config.pretty_text = 'the config'
    runner_module.collect_env = dict
    numbers, found = random.Random(0), []
    Path(work_dir).mkdir()
    for _ in range(int(kills)):
        number = numbers.randrange(1, _EVENTS)
        delay = numbers.choice([0, numbers.random() * _DELAY])
        status = train_until_killed(config, work_dir, 10**6, number, delay)
        found.append(dict(status=status, **look(work_dir)))
    epochs = found[-1]['whole'][-1] // EPOCH + 1
    status = train_until_killed(config, work_dir, epochs)
    found.append(dict(status=status, **look(work_dir)))
    json.dump(found, sys.stdout)


if __name__ == '__main__':
    main(*sys.argv[1:])
