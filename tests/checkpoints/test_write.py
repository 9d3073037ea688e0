import os
import stat

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint, write_checkpoint
from repmlp_lite.errors import UserError

WEIGHTS = {'a.weight': torch.ones(2), 'a.bias': torch.zeros(1)}


def test_written_checkpoint_is_read_back_and_nothing_else_is_left(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'a.pth'
    umask = os.umask(0o022)
    try:
        write_checkpoint(WEIGHTS, path)
    finally:
        os.umask(umask)
    assert read_checkpoint(path).keys() == WEIGHTS.keys()
    assert os.listdir(path.parent) == ['a.pth']
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_files_are_replaced_only_by_force(tmp_path):
    path = tmp_path / 'a.pth'
    path.write_text('precious')
    with pytest.raises(UserError, match=r"a.pth' exists: .*force=True"):
        write_checkpoint(WEIGHTS, path)
    assert path.read_text() == 'precious'
    write_checkpoint(WEIGHTS, path, force=True)
    assert read_checkpoint(path).keys() == WEIGHTS.keys()
    with pytest.raises(UserError, match='is a folder'):
        write_checkpoint(WEIGHTS, tmp_path, force=True)
