import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.checkpoints.safe_globals import (ALLOWED,
                                                   allow_mmengine_checkpoints)
from mmcls_repmlp.errors import CheckpointError
from tests.helpers import Pickled, making


def save(path, content):
    torch.save(content, path)
    return path


def test_message_hub_of_mmengine_is_read_back(tmp_path):
    buffer = HistoryBuffer([1., 2.5], [1, 1])
    hub = dict(
        log_scalars=dict(loss=buffer),
        runtime_info=dict(best=np.float32(0.5), count=np.int64(3)))
    read = read_checkpoint(save(tmp_path / 'a.pth', hub))
    assert read['log_scalars']['loss'].mean() == 1.75
    assert read['log_scalars']['loss'].statistics('max') == 2.5
    assert read['runtime_info'] == dict(best=0.5, count=3)


def test_both_names_of_numpys_functions_are_known():
    names = {
        entry[1]
        for entry in torch.serialization.get_safe_globals()
        if isinstance(entry, tuple)
    }
    for package in ('core', '_core'):
        for function in ('_reconstruct', 'scalar'):
            assert f'numpy.{package}.multiarray.{function}' in names


def test_allowing_twice_adds_nothing():
    before = set(torch.serialization.get_safe_globals())
    allow_mmengine_checkpoints()
    assert set(torch.serialization.get_safe_globals()) == before


def test_only_our_own_stand_ins_and_history_buffers_are_allowed():
    allowed = [
        entry[0] if isinstance(entry, tuple) else entry for entry in ALLOWED
    ]
    assert {f'{e.__module__}.{e.__name__}'
            for e in allowed} == {
                'mmengine.logging.history_buffer.HistoryBuffer',
                'mmcls_repmlp.checkpoints.safe_globals._history_buffer_method',
                *(f'mmcls_repmlp.checkpoints.numpy_numbers.{name}'
                  for name in ('NumberArray', 'NumberType', 'no_bytes',
                               'number', 'number_array'))
            }


@pytest.fixture
def others():
    """Lets a test change torch's allow-list."""
    before = torch.serialization.get_safe_globals()
    yield torch.serialization
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


def test_what_others_allowed_does_not_count(tmp_path, others):
    marker = tmp_path / 'ran'
    for payload in (making(marker),
                    Pickled(getattr, (HistoryBuffer, '__init__'))):
        path = save(tmp_path / 'a.pth', dict(hub=payload))
        # As onedl-mmengine does, and worse.
        others.add_safe_globals([exec, getattr])
        for load in (read_checkpoint,
                     lambda path: CheckpointLoader.load_checkpoint(str(path))):
            with pytest.raises(CheckpointError, match='could run code'):
                load(path)
        assert {exec, getattr} <= set(others.get_safe_globals())
    assert not marker.exists()


def test_what_others_took_away_is_still_read(tmp_path, others):
    path = save(tmp_path / 'a.pth', dict(hub=HistoryBuffer([1.], [1])))
    others.clear_safe_globals()
    assert read_checkpoint(path)['hub'].mean() == 1
    assert others.get_safe_globals() == []


@pytest.mark.parametrize('load', [
    read_checkpoint, lambda path: torch.load(path),
    lambda path: CheckpointLoader.load_checkpoint(str(path), 'cpu')
])
@pytest.mark.parametrize('payload', [
    lambda path: making(path),
    lambda path: Pickled(getattr, (HistoryBuffer, '__init__')),
    lambda path: Pickled(getattr, (np.ndarray, '__reduce__')),
    lambda path: Pickled(getattr, ('text', 'upper')),
    lambda path: Pickled(HistoryBuffer,
                         (), dict(statistics_methods=dict(mean=making(path)))),
])
def test_hostile_files_are_refused_and_run_nothing(tmp_path, load, payload):
    marker = tmp_path / 'ran'
    path = save(tmp_path / 'hostile.pth',
                dict(state_dict={}, message_hub=payload(marker)))
    with pytest.raises((CheckpointError, pickle.UnpicklingError)):
        load(path)
    assert not marker.exists()


def test_the_hostile_file_would_run_if_it_were_unpickled(tmp_path):
    marker = tmp_path / 'ran'
    path = save(tmp_path / 'hostile.pth', making(marker))
    torch.load(path, weights_only=False)
    assert marker.exists()
