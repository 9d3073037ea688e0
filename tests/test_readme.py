"""What the README says can be typed, can be typed."""

import re
import shlex
import shutil

import pytest

from mmcls_repmlp.checkpoints import read_checkpoint
from tests.helpers import ROOT
from tests.programs import call

README = (ROOT / 'README.md').read_text()


def commands(text):
    return [
        line.split('#')[0].strip()
        for block in re.findall('```bash\n(.*?)```', text, re.DOTALL)
        for line in block.splitlines()
    ]


COMMANDS = commands(README)

PYTHON = [command for command in COMMANDS if command.startswith('python ')]


def test_every_command_is_run_by_a_test_or_by_the_demo():
    tools = [shlex.split(command)[1] for command in PYTHON]
    assert tools == [
        'tools/train.py', 'tools/convert_models/reparameterize_model.py',
        'tools/test.py', 'benchmarks/benchmark.py'
    ]
    # The make targets and the installation are run by whoever runs this.
    assert {*COMMANDS} - {*PYTHON} == {
        'make demo', 'make test', 'pip install -e ".[mmcls]"'
    }
    makefile = (ROOT / 'Makefile').read_text()
    assert 'demo: $(READY)' in makefile and 'test: $(READY)' in makefile


def test_is_short():
    assert len(README.splitlines()) <= 130


def run(command, *more):
    _, tool, *argv = shlex.split(command)
    return call(tool.removeprefix('tools/'), *argv, *more)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the commands are typed: a folder with the configs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    return tmp_path


@pytest.mark.slow
def test_the_three_commands_on_imagenet(imagenet, folder, capsys):
    # As they stand, on RepMLP-B224, but for one step and two images.
    train, convert, test = PYTHON[:3]
    (folder / 'data').mkdir()
    (folder / 'data' / 'imagenet').symlink_to(imagenet)
    quick = [
        f'{loader}_dataloader.{option}' for loader in ('train', 'val', 'test')
        for option in ('num_workers=0', 'persistent_workers=False',
                       'pin_memory=False', 'batch_size=2')
    ]
    assert run(train, '--no-validate', '--cfg-options',
               *[q for q in quick if not q.startswith('val')],
               'train_cfg.max_epochs=1', 'param_scheduler=[]',
               'default_hooks.checkpoint.save_optimizer=False') == 0
    trained = folder / 'work_dirs/repmlp-base_8xb64_in1k/epoch_1.pth'
    trained.rename(trained.with_name('epoch_300.pth'))
    assert run(convert) == 0
    assert 'outputs agree' in capsys.readouterr().out
    assert run(test, '--cfg-options', *quick) == 0
    assert 'accuracy/top1' in capsys.readouterr().out
    merged = read_checkpoint(trained.with_name('deploy.pth'))
    assert merged.keys() == {'state_dict', 'meta'}


@pytest.mark.slow
def test_the_benchmark(capsys):
    # One round of one image; the last --batch is the one that counts.
    assert run(PYTHON[3], '--batch', 1, '--rounds', 1) == 0
    assert 'ours:fused' in capsys.readouterr().out


def test_exporting_and_predicting(project, folder, capsys):
    # As docs/serving.md says it, with two names for what is long.
    page = commands((ROOT / 'docs' / 'serving.md').read_text())
    config, trained, export, predict, *_ = page
    export = export.replace('$C', config[2:]).replace('$T', trained[2:])
    checkpoint, image = shlex.split(export)[3], shlex.split(predict)[3]
    for path, source in ((checkpoint, project.trained),
                         (image, next(project.data.glob('val/7/*.png')))):
        (folder / path).parent.mkdir(parents=True)
        shutil.copy(source, folder / path)
    assert run(export) == 0
    assert run(predict) == 0
    assert f'{image}: ' in capsys.readouterr().out
