import copy
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmcls_repmlp.checkpoints import read_checkpoint, safe_globals
from mmcls_repmlp.checkpoints.safe_globals import (ALLOWED,
                                                   allow_mmengine_checkpoints)
from repmlp_lite.errors import CheckpointError
from tests.helpers import Pickled, making


@pytest.fixture
def save(tmp_path):
    """Write a checkpoint with this message hub."""

    def run(hub):
        torch.save(dict(state_dict={}, message_hub=hub), tmp_path / 'a.pth')
        return tmp_path / 'a.pth'

    return run


def test_allowing_twice_adds_nothing():
    before = set(torch.serialization.get_safe_globals())
    allow_mmengine_checkpoints()
    assert set(torch.serialization.get_safe_globals()) == before


def test_only_our_own_stand_ins_and_history_buffers_are_allowed():
    allowed = {e[0] if isinstance(e, tuple) else e for e in ALLOWED}
    assert allowed == {
        *(getattr(safe_globals, name)
          for name in ('SavedHistory', 'NumberArray', 'NumberType',
                       'empty_bytes', 'restore_scalar',
                       'history_buffer_method'))
    }


@pytest.fixture
def others():
    """Lets a test change torch's allow-list."""
    before = torch.serialization.get_safe_globals()
    yield torch.serialization
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


def test_what_others_allowed_does_not_count(save, others, marker):
    # As onedl-mmengine does, and worse.
    others.add_safe_globals([exec, getattr])
    for payload in (making(marker),
                    Pickled(getattr, (HistoryBuffer, '__init__'))):
        with pytest.raises(CheckpointError, match='could run code'):
            read_checkpoint(save(payload))
        assert {exec, getattr} <= set(others.get_safe_globals())


def test_what_others_took_away_is_still_read(save, others):
    path = save(HistoryBuffer([1.], [1]))
    others.clear_safe_globals()
    assert read_checkpoint(path)['message_hub']['log_history'] == 1
    assert others.get_safe_globals() == []


@pytest.mark.parametrize('load', [read_checkpoint, torch.load])
@pytest.mark.parametrize('payload', [
    making,
    lambda path: Pickled(getattr, (HistoryBuffer, '__init__')),
    lambda path: Pickled(getattr, ('text', 'upper')),
    lambda path: Pickled(HistoryBuffer,
                         (), dict(statistics_methods=dict(mean=making(path)))),
])
def test_hostile_files_are_refused_and_run_nothing(save, marker, load,
                                                   payload):
    with pytest.raises((CheckpointError, pickle.UnpicklingError)):
        load(save(payload(marker)))


def test_the_hostile_file_would_run_if_it_were_unpickled(save, tmp_path):
    torch.load(save(making(tmp_path / 'made')), weights_only=False)
    assert (tmp_path / 'made').exists()


# ------------------------------------------------------------ numpy's numbers

REBUILD = np.zeros(1).__reduce__()[0]
F8 = np.dtype('f8')


@pytest.fixture
def read(save):
    return lambda value: read_checkpoint(save(value))['message_hub']


def forged(data, kind=F8, length=2):
    """An array that claims to be of this length and kind."""
    return Pickled(REBUILD, (np.ndarray, (0, ), b'b'),
                   (1, (length, ), kind, False, data))


@pytest.mark.parametrize('array', [
    np.ones(0),
    np.array(3, 'i2'),
    np.asfortranarray(np.arange(6, dtype='f4').reshape(2, 3)),
    np.arange(3, dtype='>i4')
])
def test_arrays_of_numbers_are_restored(read, save, array):
    assert np.array_equal(read(array).numpy(), array)
    # Plain torch.load gives an array that elsewhere is like any other.
    restored = torch.load(save(array))['message_hub']
    again = pickle.loads(pickle.dumps(restored))
    assert type(again) is np.ndarray
    for each in (restored, again, copy.deepcopy(restored)):
        assert np.array_equal(each, array)


def test_numbers_are_restored(read):
    for kind in (np.float32, np.int64, np.bool_):
        assert read(kind(-2.5)) == kind(-2.5)


# numpy would take the numbers for the addresses of objects.
FLAGS = None, None, None, 8, 8, 63


@pytest.mark.parametrize('value', [
    *(Pickled(np.dtype, (kind, False, True)) for kind in ('O', 'V8')),
    Pickled(np.dtype, ('f8', False, True), (3, 'S', *FLAGS)),
    np.array([None]),
    np.array(['text']),
    np.zeros(2, [('a', 'f4')]),
    np.datetime64('2020-01-01'),
    forged(b'short', length=1000),
    forged(bytes(16), kind='f8'),
    forged([1, 2]),
    forged('\0' * 16),
    Pickled(np.float64(1).__reduce__()[0], (F8, b''))
])
def test_everything_else_is_refused(read, value):
    with pytest.raises(CheckpointError):
        read(value)


def test_a_forged_dtype_does_not_reach_numpy(read):
    kind = Pickled(np.dtype, ('f8', False, True), (3, '<', *FLAGS))
    restored = read(forged(np.arange(2.).tobytes(), kind))
    assert restored.tolist() == [0., 1.]


def test_a_small_file_does_not_make_a_large_array(read):
    assert read(Pickled(np.ndarray, ((10**12, ), ))).numel() == 0
