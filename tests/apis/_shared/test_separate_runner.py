from pathlib import Path

import mmengine.runner.runner
import pytest

from mmcls_repmlp.apis._shared.config import build_runner, read_config


@pytest.fixture
def frozen_clock(monkeypatch):
    """All that happens, happens in one second."""
    second = mmengine.runner.runner.time.time()
    monkeypatch.setattr(mmengine.runner.runner.time, 'time', lambda: second)


@pytest.mark.parametrize('verbose', [True, False])
def test_two_runs_of_one_second_share_nothing(project, work_dir, frozen_clock,
                                              verbose):
    cfg = read_config(project.config, dict(work_dir=work_dir))
    runners = [build_runner(cfg, verbose) for _ in range(3)]
    for name in ('logger', 'message_hub', 'visualizer', 'timestamp',
                 'experiment_name'):
        first, second, third = (getattr(runner, name) for runner in runners)
        assert first != second != third != first, name
    logs = {Path(runner.logger.log_file) for runner in runners}
    assert len(logs) == 3 and all(log.is_file() for log in logs)
