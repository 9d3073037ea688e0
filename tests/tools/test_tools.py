"""The tools as programs: arguments, exit codes, several processes."""
from __future__ import annotations

import json
import os
import pickle
import runpy
import sys
from pathlib import Path

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.host import pred_scores
from mmcls_repmlp.jobs.testing.test import test as run_test
from repmlp_lite.errors import CheckpointError
from tests.helpers import Pickled, assert_same
from tests.host_parts import host
from tests.programs import TOOLS, call, free_port, run, run_python

STOCK = Path(host.__file__).parent / '.mim' / 'tools'


@pytest.mark.parametrize(('name', 'line'), [
    ('train', 'CONFIG --work-dir OUT/work --resume HOSTILE'),
    ('train', 'CONFIG --work-dir OUT/work --cfg-options load_from=HOSTILE'),
    ('test', 'CONFIG HOSTILE --work-dir OUT/work'),
    ('reparameterize', 'CONFIG HOSTILE OUT/out.pth'),
    ('convert', 'HOSTILE OUT/out.pth'),
    ('convert', 'HOSTILE OUT/out.pth --to-official'),
    ('resize', 'CONFIG HOSTILE OUT/out.pth --to 48'),
    ('publish', 'HOSTILE OUT/out.pth'),
    ('export', 'CONFIG HOSTILE OUT/out.onnx'),
    ('verify', 'CONFIG HOSTILE'),
    ('locality', 'CONFIG HOSTILE OUT/out.png'),
    ('cam', 'SEVEN CONFIG HOSTILE --out OUT/out.png'),
    ('classify', 'SEVEN CONFIG HOSTILE'),
])
def test_no_tool_runs_code_from_a_checkpoint(tool, tmp_path, capsys, name,
                                             line):
    torch.save(
        dict(state_dict=Pickled(exec, ('raise SystemExit("ran code")', ))),
        tmp_path / 'hostile.pth')
    assert tool(name, line.replace('HOSTILE', 'OUT/hostile.pth')) == 2
    assert 'was not loaded' in capsys.readouterr().err.splitlines()[-1]
    assert not [*tmp_path.glob('out*')]


def test_exit_code_reaches_the_shell():
    refused = run_python(TOOLS / 'deployment' / 'predict.py', 'a', 'b')
    assert refused.returncode == 2
    assert 'Traceback' not in refused.stderr


@pytest.mark.slow
def test_two_processes_score_what_one_does(project, tmp_path):
    out = tmp_path / 'two.pkl', tmp_path / 'one.pkl'
    common = [project.config, project.trained]
    options = ['--metrics', 'accuracy', '--work-dir', tmp_path, '--out']
    command = [TOOLS / 'dist_test.sh', *common, 2, *options, out[0]]
    tested = run(*command, PORT=free_port())
    assert tested.returncode == 0, tested.stderr
    assert call('test', *common, *options, out[1]) == 0
    two, one = (pickle.loads(path.read_bytes()) for path in out)
    assert len(two) == len(one) == 20
    for a, b in zip(two, one):
        assert a['img_path'] == b['img_path']
        assert_same(pred_scores(a), pred_scores(b), 1e-5)


def test_what_several_processes_refuse_is_said_once():
    refused = run(TOOLS / 'dist_train.sh', 'a.py', 2, '--unknown')
    assert refused.returncode == 2
    assert refused.stderr == (
        'train.py: error: unrecognized arguments: --unknown\n')


@pytest.mark.slow
def test_two_processes_train_one_model(project, tmp_path):
    command = [TOOLS / 'dist_train.sh', project.config, 2, '--seed', 0]
    trained = run(*command, '--work-dir', tmp_path)
    assert trained.returncode == 0 and 'Warning' not in trained.stderr, (
        trained.stderr)
    assert trained.stdout.count('epoch 2/2, loss ') == 1  # of one process
    # 40 images in batches of 16 for each of two processes, two epochs.
    assert read_checkpoint(tmp_path / 'epoch_2.pth')['meta']['iter'] == 4
    metrics = run_test(
        project.config, tmp_path / 'epoch_2.pth', work_dir=str(tmp_path))
    log = next(tmp_path.glob('*/vis_data/scalars.json')).read_text()
    last = json.loads(log.splitlines()[-1])
    # One of twenty images may hang in the balance, which rounding decides.
    assert last['accuracy/top1'] == pytest.approx(
        metrics['accuracy/top1'], abs=5)


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_slurm_scripts_ask_for_what_they_should(tmp_path, script):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    settings = dict(GPUS='4', GPUS_PER_NODE='2', SRUN_ARGS='--time=5 --mem=9')
    path = f'{tmp_path}:{os.environ["PATH"]}'
    command = TOOLS / script, 'part', 'job', 'CONFIG', 'CKPT', '--resume'
    done = run(*command, PATH=path, **settings)
    assert done.returncode == 0, done.stderr
    assert {
        '--partition=part', '--job-name=job', '--ntasks=4', '--gres=gpu:2',
        '--time=5', '--mem=9', *command[3:]
    } <= {*done.stdout.split()}
    assert '--launcher slurm' in done.stdout


@pytest.mark.parametrize('script', sorted(TOOLS.glob('*.sh')), ids=str)
def test_scripts_say_how_they_are_used(script):
    refused = run(script)
    assert refused.returncode == 2
    assert 'usage:' in refused.stderr and 'CONFIG' in refused.stderr


def test_tools_of_mmcls_train_resume_and_test(project, tmp_path, monkeypatch,
                                              capfd):
    work = '--work-dir', tmp_path
    # A new process, which the config alone makes import this package.
    trained = run_python(STOCK / 'train.py', project.config, *work, '--resume',
                         project.work_dir / 'epoch_1.pth',
                         '--no-persistent-workers')
    assert trained.returncode == 0, trained.stderr
    monkeypatch.setenv('LOCAL_RANK', '0')  # which they set for good

    def test(*argv):
        argv = ['test.py', *map(str, argv), *map(str, work), '--no-pin-memory']
        monkeypatch.setattr(sys, 'argv', argv)
        runpy.run_path(str(STOCK / 'test.py'), run_name='__main__')

    test(project.config, tmp_path / 'epoch_2.pth')
    assert 'accuracy/top1' in ''.join(capfd.readouterr())
    with pytest.raises(CheckpointError, match='repmlp reparameterize'):
        test(project.deploy_config, project.trained)
