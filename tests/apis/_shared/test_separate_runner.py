import time
from pathlib import Path

from mmcls_repmlp.apis._shared.config import build_runner, read_config


def test_two_runs_of_one_second_share_nothing(project, work_dir, monkeypatch):
    second = time.time()
    monkeypatch.setattr(time, 'time', lambda: second)
    cfg = read_config(project.config, dict(work_dir=work_dir))
    runners = [build_runner(cfg) for _ in range(3)]
    for name in ('logger', 'message_hub', 'visualizer', 'timestamp',
                 'experiment_name'):
        first, second, third = (getattr(runner, name) for runner in runners)
        assert first != second != third != first, name
    logs = {Path(runner.logger.log_file) for runner in runners}
    assert len(logs) == 3 and all(log.is_file() for log in logs)
