import logging
import time
from pathlib import Path

import pytest
from mmengine.model import BaseModel

from mmcls_repmlp.jobs.shared.config import build_runner, read_config
from mmcls_repmlp.jobs.shared.runners import QuietRunner

CALLS = 'from mmengine.logging import print_log; print_log(text, "current")'


@pytest.fixture
def runner(work_dir):
    """A runner whose logger is its own, whenever it is built."""

    class Model(BaseModel):

        def forward(self, *args, **kwargs):
            return None

    return QuietRunner(Model(), work_dir, experiment_name=work_dir)


@pytest.mark.parametrize(('name', 'shown'), [
    ('mmcls_repmlp.jobs.a', True),
    ('mmcls_repmlp.recipe.a', False),
    ('mmcls.a', False),
    ('mmengine.runner.a', False),
])
def test_this_package_is_heard_and_the_host_is_not(capsys, runner, name,
                                                   shown):
    exec(CALLS, dict(__name__=name, text='a line'))
    assert capsys.readouterr().out == 'a line\n' * shown
    log = Path(runner.logger.log_file).read_text()
    assert 'a line' in log and 'System environment' in log


def test_warnings_and_errors_are_heard_but_not_mmengines_to_itself(
        capsys, runner):
    odd = ('"FileClient" will be deprecated in future. Please use io',
           '"HardDiskBackend" is the alias of "LocalBackend"')
    for text in ('odd', *odd):
        runner.logger.warning(text)
    runner.logger.error('wrong')
    assert capsys.readouterr().out == 'warning: odd\nerror: wrong\n'
    log = Path(runner.logger.log_file).read_text()
    assert all(text in log for text in odd)


def test_the_level_of_the_host_holds(runner, capsys):
    screen, = (
        handler for handler in runner.logger.handlers
        if not isinstance(handler, logging.FileHandler))
    screen.setLevel(logging.ERROR)  # as in all processes but the first
    runner.logger.warning('odd')
    assert not capsys.readouterr().out


def test_runs_of_one_second_share_nothing(project, work_dir, monkeypatch):
    second = time.time()
    monkeypatch.setattr(time, 'time', lambda: second)
    cfg = read_config(project.config, dict(work_dir=work_dir))
    runners = [build_runner(cfg) for _ in range(3)]
    for name in ('logger', 'message_hub', 'visualizer', 'timestamp',
                 'experiment_name'):
        one, two, three = (getattr(runner, name) for runner in runners)
        assert one != two != three != one, name
    logs = {Path(runner.logger.log_file) for runner in runners}
    assert len(logs) == 3 and all(log.is_file() for log in logs)
