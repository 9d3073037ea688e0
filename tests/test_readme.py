"""The commands of the README, as they stand."""

import re
import shlex

import benchmark_models

from mmcls_repmlp.checkpoints import read_checkpoint
from tests.helpers import CONFIGS, ROOT, quick_loaders, write_config
from tests.programs import call, command_of, loaded

README = (ROOT / 'README.md').read_text()
COMMANDS = [
    line.split('#')[0].strip()
    for block in re.findall('```bash\n(.*?)```', README, re.DOTALL)
    for line in block.splitlines()
]
PYTHON = [command for command in COMMANDS if command.startswith('python ')]


def test_every_command_is_run_by_a_test_or_by_the_demo():
    tools = [shlex.split(command)[1] for command in PYTHON]
    assert tools == [
        'tools/train.py', 'tools/convert_models/reparameterize_model.py',
        'tools/test.py', 'benchmarks/benchmark.py'
    ]
    # The make targets and the installation set up what runs this.
    assert {*COMMANDS} - {*PYTHON} == {
        'make demo', 'make test', 'pip install -e ".[mmcls]"'
    }
    assert len(README.splitlines()) <= 130


def run(command, *more):
    _, tool, *argv = shlex.split(command)
    command = command_of(tool)
    if command is None:
        return loaded(ROOT / tool).main([str(arg) for arg in (*argv, *more)])
    return call(command, *argv, *more)


def test_the_three_commands_on_imagenet(imagenet, monkeypatch, capsys):
    # The configs are narrower, and stop after one step on two images.
    monkeypatch.chdir(imagenet)
    folder = imagenet / 'configs' / 'repmlp'
    folder.mkdir(parents=True)
    arch = dict(
        channels=(4, 8, 16, 32), depths=[1] * 4, sharesets_nums=(1, 4, 8, 16))
    for form in ('', '_deploy'):
        name = f'repmlp-base{form}_8xb64_in1k.py'
        write_config(
            folder / name,
            CONFIGS / name,
            **quick_loaders(imagenet, batch_size=2, pin_memory=False),
            model=dict(
                backbone=dict(arch=dict(arch, _delete_=True)),
                head=dict(in_channels=32)),
            param_scheduler=[],
            train_cfg=dict(max_epochs=1))
    train, convert, test = PYTHON[:3]
    assert run(train, '--no-validate') == 0
    trained = imagenet / 'work_dirs/repmlp-base_8xb64_in1k/epoch_1.pth'
    trained.rename(trained.with_name('epoch_300.pth'))
    assert run(convert) == 0
    assert 'outputs agree' in capsys.readouterr().out
    assert run(test) == 0
    assert 'accuracy/top1' in capsys.readouterr().out
    merged = read_checkpoint(trained.with_name('deploy.pth'))
    assert merged.keys() == {'state_dict', 'meta'}


def test_the_benchmark(capsys, monkeypatch):
    monkeypatch.setattr(benchmark_models, 'matmul_gflops', lambda _: 100.)
    # The last of each option is the one that counts.
    quick = '--arch', 't', '--batch', 1, '--rounds', 1, '--img-size', 32
    assert run(PYTHON[3], *quick) == 0
    assert 'ours:fused' in capsys.readouterr().out
