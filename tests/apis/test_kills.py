"""Nothing is lost when a training is killed, or the disk is full."""
from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, TINY
from tests.tools.test_tools import run

_KILLS = 20
# A checkpoint after every iteration, one kept: much to be killed in.
_TEXT = """
_base_ = {base!r}
model = dict(backbone=dict(arch={arch!r}), head=dict(in_channels=32))
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root={data!r}))
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
train_cfg = dict(max_epochs=1)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = []
default_hooks = dict(checkpoint=dict(by_epoch=False))
"""


@pytest.fixture
def config(tmp_path, digits):
    path = tmp_path / 'config.py'
    path.write_text(_TEXT.format(
        base=str(ROOT / 'configs/repmlp/repmlp-mini_1xb64_digits-32px.py'),
        arch=TINY, data=str(digits)))
    return path


def test_a_whole_checkpoint_survives_every_kill(config, tmp_path):
    done = run(sys.executable, Path(__file__).with_name('kill_trainings.py'),
               config, tmp_path / 'work', _KILLS, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    *killed, finished = json.loads(done.stdout)
    newest = 0
    assert len(killed) == _KILLS
    for found in killed:
        assert found['status'] == signal.SIGKILL
        assert not found['torn']
        assert found['whole'] or not newest
        assert found['scratch'] <= 1
        assert found['last'] is None or Path(found['last']).suffix == '.pth'
        newest, before = max(found['whole'], default=0), newest
        assert newest >= before
    assert newest > 0
    assert finished['status'] == 0
    assert finished['whole'] == [(newest // 20 + 1) * 20]
    assert finished['scratch'] == 0
