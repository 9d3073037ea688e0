import logging
from pathlib import Path

import pytest
from mmengine.model import BaseModel

from mmcls_repmlp.apis._shared.screen import QuietRunner

CALLS = 'from mmengine.logging import print_log; print_log(text, "current")'


@pytest.fixture
def runner(work_dir):
    """A runner whose logger is its own, whenever it is built."""

    class Model(BaseModel):

        def forward(self, *args, **kwargs):
            return None

    return QuietRunner(Model(), work_dir, experiment_name=work_dir)


@pytest.mark.parametrize(
    ('name', 'shown'), [('mmcls_repmlp.apis.a', True),
                        ('mmcls_repmlp.training.a', False), ('mmcls.a', False),
                        ('mmengine.runner.a', False)])
def test_this_package_is_heard_and_the_host_is_not(runner, capsys, name,
                                                   shown):
    exec(CALLS, dict(__name__=name, text='a line'))
    assert capsys.readouterr().out == 'a line\n' * shown
    assert 'a line' in Path(runner.logger.log_file).read_text()


def test_warnings_and_errors_are_heard(runner, capsys):
    capsys.readouterr()
    runner.logger.warning('odd')
    runner.logger.error('wrong')
    assert capsys.readouterr().out == 'warning: odd\nerror: wrong\n'


def test_what_mmengine_warns_itself_of_is_not(runner, capsys):
    capsys.readouterr()
    for text in ('"FileClient" will be deprecated in future. Please use io',
                 '"HardDiskBackend" is the alias of "LocalBackend"'):
        runner.logger.warning(text)
        assert text in Path(runner.logger.log_file).read_text()
    assert not capsys.readouterr().out


def test_nothing_of_how_it_is_built_is_heard(capsys, runner):
    assert not capsys.readouterr().out
    assert 'System environment' in Path(runner.logger.log_file).read_text()


def test_the_level_of_the_host_holds(runner, capsys):
    capsys.readouterr()
    screen, = (
        handler for handler in runner.logger.handlers
        if not isinstance(handler, logging.FileHandler))
    screen.setLevel(logging.ERROR)  # as in all processes but the first
    runner.logger.warning('odd')
    assert not capsys.readouterr().out
