"""Run training in processes that are killed, stopped or work together.

Run by tests in a process of its own, which imports everything once and forks
a process for every training run. The argument is a JSON list of jobs, each a
list of a function below and its arguments; the output is a JSON list of what
they return.
"""
import gc
import json
import os
import random
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import matplotlib.pyplot  # noqa: F401  (else every process imports them)
import mmengine.runner.runner as runner_module
import torch
import torch._dynamo
from mmengine.config import Config

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.export.export_model import put_in_place
from mmcls_repmlp.jobs.publish_model import publish_model
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import CheckpointError
from repmlp_lite.exported.card import card_of, digests, parts_of
from repmlp_lite.files import atomic_write, scratch_folder
from tests.programs import call

EPOCH = 20  # iterations


def fork(log, function, *args, **options):
    """Call a function in a process of its own, whose output goes to a file."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with open(log, 'a') as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        code = function(*args, **options)
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def wait(child):
    return os.waitpid(child, 0)[1]


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
    if number:
        kill_at(work_dir, number, delay)
    options = {'train_cfg.max_epochs': epochs}
    train(
        config,
        work_dir,
        resume='auto',
        seed=0,
        no_test=True,
        cfg_options=options)


def look(work_dir):
    """List the checkpoints that are whole, and what else was left."""
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


def kill(config, work_dir, kills):
    """Kill a training run at random moments; in the end let it finish."""
    # Both take far longer than the training runs here.
    Config.pretty_text = 'model = dict()'
    runner_module.collect_env = dict
    numbers, found = random.Random(0), []
    Path(work_dir).mkdir()
    run = f'{work_dir}.log', train_until_killed, config, work_dir
    for _ in range(kills):
        # Most kills come within this many uses of files in the work folder.
        number = numbers.randrange(1, 90)
        delay = numbers.choice([0, numbers.random() * 0.004])
        status = wait(fork(*run, 10**6, number, delay))
        found.append(dict(status=status, **look(work_dir)))
    epochs = found[-1]['whole'][-1] // EPOCH + 1
    status = wait(fork(*run, epochs))
    return [*found, dict(status=status, **look(work_dir))]


def call_train(*argv, limit=None):
    """Call the program, perhaps with a limit to the size of files."""
    sys.argv = ['train.py', *argv]
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    # Shells let what they start in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return call('train', '--no-test', *argv)


def fill_disk(config, work_dir, limit):
    """Resume a training run that cannot write its next checkpoint."""
    argv = [
        config, '--work-dir', work_dir, '--resume', '--cfg-options',
        'default_hooks.checkpoint.by_epoch=True', 'train_cfg.max_epochs=2'
    ]
    log = Path(f'{work_dir}.log')
    status = wait(fork(log, call_train, *argv, limit=limit))
    return os.waitstatus_to_exitcode(status), log.read_text()


def stop(config, work_dir, number):
    """Send a signal to a training run once it has saved a checkpoint."""
    argv = [
        config, '--work-dir', work_dir, '--cfg-options',
        'train_cfg.max_epochs=100000'
    ]
    log = Path(f'{work_dir}.log')
    child = fork(log, call_train, *argv)
    while not [*Path(work_dir).glob('iter_*.pth')] and os.waitid(
            os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.02)
    os.kill(child, number)
    return os.waitstatus_to_exitcode(wait(child)), log.read_text()


def write_files(folder, name, count):
    """Write files of its own, and one that others write, too."""
    for i in range(count):
        for path, force in ((folder / 'all', True), (folder / f'{name}{i}',
                                                     False)):
            with atomic_write(path, force) as temporary:
                temporary.write_text(name)
    return 0


def write_exports(folder, name, count):
    """Put files of two parts and a card into one place, as an export does."""
    for i in range(count):
        with scratch_folder(folder) as scratch:
            for part in parts_of(scratch / 'a.xml'):
                part.write_text(f'{name}{i}')
            put_in_place(scratch / 'a.xml', folder / 'a.xml', {}, force=True)
    return 0


def publish(folder, source, count):
    """Publish a checkpoint again and again."""
    for _ in range(count):
        publish_model(source, folder / 'published.pth', force=True)
    return 0


def work_at_once(config, folder, count):
    """Train, write, export and publish in one folder at the same time."""
    folder = Path(folder)
    source = folder.with_name('source.pth')
    torch.save(dict(state_dict=dict(weight=torch.zeros(3))), source)
    options = {'train_cfg.max_epochs': count // EPOCH}
    log = f'{folder}.log'
    children = [
        fork(log, train, config, str(folder), cfg_options=options),
        fork(log, publish, folder, source, count // 4)
    ]
    for name in 'xy':
        children += [
            fork(log, write_files, folder, name, count),
            fork(log, write_exports, folder, name, count)
        ]
    statuses = [*map(wait, children)]
    card = json.loads(card_of(folder / 'a.xml').read_text())
    return dict(
        statuses=statuses,
        log=Path(log).read_text(),
        files=len([*folder.glob('[xy]*')]),
        is_whole=card['files'] == digests(folder / 'a.xml'),
        **look(folder))


def train_twofold(config, work_dir, port, resume=None):
    """Train in two processes; save a checkpoint after every iteration."""
    os.environ.update(
        WORLD_SIZE='2', MASTER_ADDR='localhost', MASTER_PORT=port)
    options = {'default_hooks.checkpoint.by_epoch': False}
    children = []
    for rank in '01':
        os.environ.update(RANK=rank, LOCAL_RANK=rank)
        children.append(
            fork(
                f'{work_dir}.log',
                train,
                config,
                work_dir,
                resume=resume,
                launcher='pytorch',
                cfg_options=options))
    return [*map(wait, children)]


if __name__ == '__main__':
    torch.set_num_threads(1)
    gc.freeze()
    jobs = json.loads(sys.argv[1])
    found = [globals()[name](*arguments) for name, *arguments in jobs]
    json.dump(found, sys.stdout)
