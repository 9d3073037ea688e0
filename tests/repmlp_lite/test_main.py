import re
import subprocess
import sys
from pathlib import Path

import pytest

from repmlp_lite.command_line.commands import COMMANDS
from repmlp_lite.main import run
from tests.helpers import ROOT
from tests.programs import command_of, run_python

TOOLS = [path for path in ROOT.glob('tools/**/*.py')
         if path.parent.name != 'launchers']  # yapf: disable


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        run(['--help'])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for name, command in COMMANDS.items():
        line = command.__doc__.splitlines()[0]
        assert re.search(rf'^  {name} +{re.escape(line)}$', text, re.M)
    assert run([]) == 2
    assert capsys.readouterr().err == text


@pytest.mark.parametrize(('argv', 'code', 'words'), [
    (['trian'], 2, "no command 'trian'; did you mean 'train'?"),
    (['trian', '--epochs', '3'], 2, "did you mean 'train'"),
    (['--version'], 0, 'mmcls_repmlp 0.'),
    (['train', '--help'], 0, 'usage: repmlp train [-h]'),
    (['train'], 2, 'repmlp train: error: the following arguments are req'),
])
def test_words_before_a_command(capsys, argv, code, words):
    with pytest.raises(SystemExit) as end:
        run(argv)
    assert end.value.code == code
    assert words in ''.join(capsys.readouterr())


def test_tools_and_the_installed_program_run_commands():
    demo = ROOT / 'demo' / 'image_demo.py'
    assert {*map(command_of, [*TOOLS, demo])} == {*COMMANDS}
    program = Path(sys.executable).with_name('repmlp')
    for command in ([sys.executable,
                     ROOT / 'tools' / 'train.py'], [program, 'train']):
        done = subprocess.run([*command, 'no.py', '--unknown'],
                              capture_output=True,
                              text=True,
                              check=False)
        assert done.returncode == 2
        assert 'error: unrecognized arguments: --unknown' in done.stderr


def test_a_tool_is_named_as_it_was_called():
    tool = ROOT / 'tools' / 'deployment' / 'predict.py'
    assert run_python(tool).stderr.startswith('usage: predict.py ')
