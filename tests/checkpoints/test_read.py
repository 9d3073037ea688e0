import os
import pickle
from unittest.mock import Mock

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.errors import CheckpointError

WEIGHTS = {'a.weight': torch.ones(2), 'a.bias': torch.zeros(1)}


@pytest.fixture
def path(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'a.pth')
    return tmp_path / 'a.pth'


def test_home_folders_are_found(path, monkeypatch):
    monkeypatch.setenv('HOME', str(path.parent))
    assert read_checkpoint('~/a.pth').keys() == WEIGHTS.keys()


def test_nothing_pipes_and_devices_are_no_files(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for path in ('no.pth', tmp_path / 'pipe', '/dev/zero'):
        with pytest.raises(CheckpointError, match="' does not exist: check"):
            read_checkpoint(path)


def test_a_config_is_no_checkpoint(tmp_path):
    (tmp_path / 'a.py').write_text('_base_ = []')
    with pytest.raises(CheckpointError, match=r"a\.py' is a config and no ch"):
        read_checkpoint(tmp_path / 'a.py')


@pytest.mark.parametrize(
    ('error', 'message'),
    [(MemoryError, 'does not fit into the memory'),
     *((error, 'cannot be read, it is none, damaged or incomplete')
       for error in (IndexError, TypeError('a\nb'), RecursionError, OSError)),
     (pickle.UnpicklingError('a\nUnsupported 7'), r'\(Unsupported 7\)')])
def test_any_error_of_torch_is_one_sentence(path, monkeypatch, error, message):
    monkeypatch.setattr(torch, 'load', Mock(side_effect=error))
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(path)
    assert '\n' not in str(caught.value)
