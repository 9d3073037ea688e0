import os
import pickle

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.errors import CheckpointError

WEIGHTS = {'a.weight': torch.ones(2), 'a.bias': torch.zeros(1)}


def test_missing_file():
    with pytest.raises(CheckpointError, match="'no.pth' does not exist"):
        read_checkpoint('no.pth')


@pytest.mark.parametrize('damage', [
    lambda data: data[:len(data) // 2], lambda data: b'', lambda data: b'x',
    lambda data: b'PK' + data[2:50] + bytes(1000),
    lambda data: data.replace(b'weight', b'height')[:-9]
])
def test_damaged_files(tmp_path, damage):
    path = tmp_path / 'a.pth'
    torch.save(WEIGHTS, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r'a\.pth'):
        read_checkpoint(path)


def test_what_needs_more_memory_than_there_is(tmp_path, monkeypatch):
    torch.save(WEIGHTS, tmp_path / 'a.pth')

    def load(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(torch, 'load', load)
    with pytest.raises(CheckpointError, match='does not fit into the memory'):
        read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize('error', [
    IndexError,
    TypeError('a\nb'), AssertionError, RecursionError, OSError,
    pickle.UnpicklingError('Unsupported operand 7')
])
def test_any_error_of_torch_is_one_sentence(tmp_path, monkeypatch, error):
    torch.save(WEIGHTS, tmp_path / 'a.pth')

    def load(*args, **kwargs):
        raise error

    monkeypatch.setattr(torch, 'load', load)
    with pytest.raises(
            CheckpointError,
            match='cannot be read, it is none, '
            'damaged or incomplete') as caught:
        read_checkpoint(tmp_path / 'a.pth')
    assert '\n' not in str(caught.value)


def test_home_folders_are_found(tmp_path, monkeypatch):
    torch.save(WEIGHTS, tmp_path / 'a.pth')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert read_checkpoint('~/a.pth').keys() == WEIGHTS.keys()


def test_pipes_and_devices_are_no_files(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for path in (tmp_path / 'pipe', '/dev/zero'):
        with pytest.raises(CheckpointError, match='does not exist'):
            read_checkpoint(path)
