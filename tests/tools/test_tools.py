"""The tools as programs: arguments, exit codes, several processes."""
from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.host import pred_scores
from tests.helpers import Pickled, assert_same
from tests.host_parts import host
from tests.programs import TOOLS, call, free_port, run, run_python

CONVERT = 'convert_models/reparameterize_model.py'
OFFICIAL = 'convert_models/repmlp_to_mmcls.py'
RESIZE = 'convert_models/resize_partitions.py'
STOCK = Path(host.__file__).parent / '.mim' / 'tools'


def metrics(path):
    return json.loads(Path(path).read_text())


# ------------------------------------------------------- in this process


def test_train(project, work_dir):
    assert call('train.py', project.config, '--work-dir', work_dir, '--seed',
                0, '--no-validate', '--auto-scale-lr', '--cfg-options',
                'train_cfg.max_epochs=1') == 0
    assert (Path(work_dir) / 'epoch_1.pth').exists()


def test_convert_then_test_both_forms(project, tmp_path, work_dir, capsys):
    merged, config = tmp_path / 'merged.pth', tmp_path / 'deploy.py'
    assert call(CONVERT, project.config, project.trained, merged,
                '--deploy-cfg', config) == 0
    assert 'largest relative difference' in capsys.readouterr().out
    for cfg, checkpoint in ((project.config, project.trained), (config,
                                                                merged)):
        out = tmp_path / f'{checkpoint.stem}.json'
        assert call('test.py', cfg, checkpoint, '--metrics', 'accuracy',
                    'f1_score', '--metric-options', 'topk=1', '--out', out,
                    '--out-item', 'metrics', '--work-dir', work_dir) == 0
    found, expected = (
        metrics(tmp_path / f'{path.stem}.json')
        for path in (merged, project.trained))
    assert found.keys() == expected.keys() == {
        'accuracy/top1', 'single-label/f1-score'
    }
    # One of twenty images may hang in the balance, which rounding decides.
    assert found['accuracy/top1'] == pytest.approx(
        expected['accuracy/top1'], abs=5)


def test_official_names_and_back(project, tmp_path, capsys):
    official, ours = tmp_path / 'official.pth', tmp_path / 'ours.pth'
    assert call(OFFICIAL, project.trained, official, '--to-official') == 0
    assert call(OFFICIAL, official, ours, '--img-size', 32) == 0
    assert 'next: no config here is for this model' in capsys.readouterr().out
    before, after = (
        read_checkpoint(path)['state_dict']
        for path in (project.trained, ours))
    assert [*before] == [*after]
    assert all(before[key].equal(after[key]) for key in before)
    with pytest.raises(SystemExit):
        call(OFFICIAL, ours, official, '--to-official', '--arch', 'b')
    assert 'do not go with --to-official' in capsys.readouterr().err


def test_resize(project, tmp_path, capsys):
    resized = tmp_path / 'resized.pth'
    assert call(RESIZE, project.config, project.trained, resized, '--to', 48,
                64) == 0
    assert '8x8 to 12x16' in capsys.readouterr().out
    fc3 = 'backbone.stages.0.0.repmlp_block.fc3.weight'
    assert read_checkpoint(resized)['state_dict'][fc3].shape == (2 * 12 * 16,
                                                                 12 * 16, 1, 1)


@pytest.mark.parametrize(('tool', 'argv'), [
    ('train.py', ['CONFIG', '--work-dir', 'WORK', '--resume', 'HOSTILE']),
    ('train.py',
     ['CONFIG', '--work-dir', 'WORK', '--cfg-options', 'load_from=HOSTILE']),
    ('test.py', ['CONFIG', 'HOSTILE', '--work-dir', 'WORK']),
    (CONVERT, ['CONFIG', 'HOSTILE', 'OUT.pth']),
    (OFFICIAL, ['HOSTILE', 'OUT.pth']),
    (OFFICIAL, ['HOSTILE', 'OUT.pth', '--to-official']),
    (RESIZE, ['CONFIG', 'HOSTILE', 'OUT.pth', '--to', '48']),
    ('convert_models/publish_model.py', ['HOSTILE', 'OUT.pth']),
    ('deployment/export.py', ['CONFIG', 'HOSTILE', 'OUT.onnx']),
    ('analysis_tools/confusion_matrix.py', ['CONFIG', 'HOSTILE']),
    ('analysis_tools/verify_pairs.py', ['CONFIG', 'HOSTILE']),
    ('visualizations/vis_locality.py', ['CONFIG', 'HOSTILE', 'OUT.png']),
    ('visualizations/vis_cam.py',
     ['IMAGE', 'CONFIG', 'HOSTILE', '--out', 'OUT.png']),
    ('../demo/image_demo.py', ['IMAGE', 'CONFIG', 'HOSTILE']),
])
def test_no_tool_runs_code_from_a_checkpoint(project, tmp_path, work_dir,
                                             capsys, tool, argv):
    torch.save(
        dict(state_dict=Pickled(exec, ('raise SystemExit("ran code")', ))),
        tmp_path / 'hostile.pth')
    words = dict(
        CONFIG=project.config,
        WORK=work_dir,
        HOSTILE=tmp_path / 'hostile.pth',
        OUT=tmp_path / 'out',
        IMAGE=next(project.data.glob('val/*/*.png')))
    for word, value in words.items():
        argv = [arg.replace(word, str(value)) for arg in argv]
    assert call(tool, *argv) == 2
    assert 'was not loaded' in capsys.readouterr().err.splitlines()[-1]
    assert not [*tmp_path.glob('out*')]


@pytest.mark.parametrize(
    ('argv', 'message'),
    [(['a', 'b', '--metrics', 'mAP'
       ], "'mAP' (choose from 'accuracy', 'precision'"),
     (['a', 'b', '--out-item', 'pred'], '--out-item needs --out FILE'),
     ([], 'checkpoint')])
def test_wrong_arguments_of_test(capsys, argv, message):
    with pytest.raises(SystemExit) as exit_:
        call('test.py', *argv)
    assert exit_.value.code == 2
    assert message.replace("'", '') in capsys.readouterr().err.replace("'", '')


# ------------------------------------------------ in processes of their own


def test_exit_code_reaches_the_shell(project):
    refused = run_python(TOOLS / CONVERT, project.config, project.trained,
                         project.merged)
    assert refused.returncode == 2
    assert 'Traceback' not in refused.stderr


@pytest.mark.slow
def test_two_processes_score_what_one_does(project, tmp_path):
    out = tmp_path / 'two.pkl', tmp_path / 'one.pkl'
    tested = run(
        TOOLS / 'dist_test.sh',
        project.config,
        project.trained,
        2,
        '--metrics',
        'accuracy',
        '--out',
        out[0],
        '--work-dir',
        tmp_path,
        PORT=free_port())
    assert tested.returncode == 0, tested.stderr
    assert call('test.py', project.config, project.trained, '--metrics',
                'accuracy', '--out', out[1], '--work-dir', tmp_path) == 0
    two, one = (pickle.loads(path.read_bytes()) for path in out)
    assert len(two) == len(one) == 20
    for a, b in zip(two, one):
        assert a['img_path'] == b['img_path']
        assert_same(pred_scores(a), pred_scores(b), 1e-5)


@pytest.mark.slow
def test_two_processes_train_one_model(project, tmp_path):
    trained = run(
        TOOLS / 'dist_train.sh',
        project.config,
        2,
        '--work-dir',
        tmp_path,
        '--seed',
        0,
        PORT=free_port())
    assert trained.returncode == 0 and 'Warning' not in trained.stderr, (
        trained.stderr)
    assert trained.stdout.count('epoch 2/2, loss ') == 1  # of one process
    # 40 images in batches of 16 for each of two processes, two epochs.
    assert read_checkpoint(tmp_path / 'epoch_2.pth')['meta']['iter'] == 4
    out = tmp_path / 'metrics.json'
    assert call('test.py', project.config, tmp_path / 'epoch_2.pth', '--out',
                out, '--out-item', 'metrics', '--work-dir', tmp_path) == 0
    log = next(tmp_path.glob('*/vis_data/scalars.json')).read_text()
    last = json.loads(log.splitlines()[-1])
    # One of twenty images may hang in the balance, which rounding decides.
    assert last['accuracy/top1'] == pytest.approx(
        metrics(out)['accuracy/top1'], abs=5)


@pytest.mark.parametrize(
    ('script', 'arguments'),
    [('slurm_train.sh', ['CONFIG', '--resume']),
     ('slurm_test.sh', ['CONFIG', 'CKPT', '--metrics', 'accuracy'])])
def test_slurm_scripts_ask_for_what_they_should(tmp_path, script, arguments):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    done = run(
        TOOLS / script,
        'part',
        'job',
        *arguments,
        GPUS='4',
        GPUS_PER_NODE='2',
        SRUN_ARGS='--time=5 --mem=9',
        PATH=f'{tmp_path}:{os.environ["PATH"]}')
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    for word in ('--partition=part', '--job-name=job', '--ntasks=4',
                 '--gres=gpu:2', '--time=5', '--mem=9', *arguments):
        assert word in words
    assert words[words.index('--launcher') + 1] == 'slurm'


@pytest.mark.parametrize(
    'script',
    ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'])
def test_scripts_say_how_they_are_used(script):
    refused = run(TOOLS / script)
    assert refused.returncode == 2
    assert 'usage:' in refused.stderr and 'CONFIG' in refused.stderr


@pytest.mark.slow
def test_tools_of_mmcls_train_resume_and_test(project, tmp_path):
    trained = run_python(STOCK / 'train.py', project.config, '--work-dir',
                         tmp_path, '--resume',
                         project.work_dir / 'epoch_1.pth',
                         '--no-persistent-workers')
    assert trained.returncode == 0, trained.stderr
    tested = run_python(STOCK / 'test.py', project.config,
                        tmp_path / 'epoch_2.pth', '--work-dir', tmp_path)
    assert tested.returncode == 0, tested.stderr
    assert 'accuracy/top1' in tested.stdout + tested.stderr


def test_tools_of_mmcls_refuse_the_wrong_form(project, tmp_path):
    refused = run_python(STOCK / 'test.py', project.deploy_config,
                         project.trained, '--work-dir', tmp_path)
    assert refused.returncode == 1
    assert 'reparameterize_model.py' in refused.stderr
    assert 'accuracy/top1' not in refused.stdout


def test_the_config_may_be_left_out(project, tmp_path, capsys):
    merged, model = tmp_path / 'merged.pth', tmp_path / 'model.pt'
    assert call(CONVERT, project.work_dir, '--force', merged) == 0
    assert call('test.py', '--work-dir', tmp_path, merged, '--metrics',
                'accuracy') == 0
    assert call('deployment/export.py', merged, model) == 0
    assert call('analysis_tools/confusion_matrix.py', project.work_dir) == 0
    weights = [
        read_checkpoint(path)['state_dict']
        for path in (merged, project.merged)
    ]
    for name, value in weights[1].items():
        assert_same(weights[0][name], value, 0.)
    capsys.readouterr()
    bare = tmp_path / 'bare.pth'
    torch.save(weights[0], bare)
    assert call('test.py', bare) == 2
    assert 'carries no config: name one before it' in capsys.readouterr().err
