import copy
import pickle

import numpy as np
import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.errors import CheckpointError
from tests.helpers import Pickled


def read(tmp_path, value):
    torch.save(dict(value=value), tmp_path / 'a.pth')
    return read_checkpoint(tmp_path / 'a.pth')['value']


@pytest.mark.parametrize('array', [
    np.arange(6.).reshape(2, 3),
    np.ones(0),
    np.array(3, 'i2'),
    np.asfortranarray(np.arange(6, dtype='f4').reshape(2, 3)),
    np.array([True, False]),
    np.arange(3, dtype='>i4')
])
def test_arrays_of_numbers_are_restored(tmp_path, array):
    restored = read(tmp_path, array)
    assert restored.dtype.newbyteorder('=') == array.dtype.newbyteorder('=')
    assert restored.shape == array.shape
    assert np.array_equal(restored, array)
    # Elsewhere they are arrays like any other.
    again = pickle.loads(pickle.dumps(restored))
    assert type(again) is np.ndarray and np.array_equal(again, array)
    assert np.array_equal(copy.deepcopy(restored), array)
    assert np.array_equal(read(tmp_path, restored), array)


@pytest.mark.parametrize(
    'number',
    [np.float32(0.5),
     np.float64(-2),
     np.int64(3), np.bool_(True)])
def test_numbers_are_restored(tmp_path, number):
    restored = read(tmp_path, number)
    assert restored == number and restored.dtype == number.dtype


# numpy would take the numbers for the addresses of objects.
FLAGS = (3, '<', None, None, None, 8, 8, 63)
REBUILD = np.zeros(1).__reduce__()[0]


@pytest.mark.parametrize('value', [
    Pickled(np.dtype, ('O', False, True)),
    Pickled(np.dtype, ('V8', False, True)),
    Pickled(np.dtype, ('f8', False, True), (3, 'S', *FLAGS[2:])),
    np.array([None]),
    np.array(['text']),
    np.array(b'bytes'),
    np.zeros(2, [('a', 'f4')]),
    np.datetime64('2020-01-01'),
    Pickled(REBUILD, (np.ndarray, (0, ), b'b'),
            (1, (1000, ), np.dtype('f8'), False, b'short')),
    Pickled(REBUILD, (np.ndarray, (0, ), b'b'),
            (1, (2, ), 'f8', False, bytes(16))),
    Pickled(REBUILD, (np.ndarray, (0, ), b'b'),
            (1, (2, ), np.dtype('f8'), False, [1, 2])),
    Pickled(REBUILD, (np.ndarray, (0, ), b'b'),
            (1, (2, ), np.dtype('f8'), False, '\0' * 16)),
    Pickled(np.float64(1).__reduce__()[0], (np.dtype('f8'), b''))
])
def test_everything_else_is_refused(tmp_path, value):
    with pytest.raises(CheckpointError):
        read(tmp_path, value)


def test_a_forged_dtype_does_not_reach_numpy(tmp_path):
    forged = Pickled(np.dtype, ('f8', False, True), FLAGS)
    array = Pickled(REBUILD, (np.ndarray, (0, ), b'b'),
                    (1, (2, ), forged, False, np.arange(2.).tobytes()))
    restored = read(tmp_path, array)
    assert not restored.dtype.hasobject
    assert np.array_equal(restored, [0., 1.])


def test_a_small_file_does_not_make_a_large_array(tmp_path):
    assert read(tmp_path, Pickled(np.ndarray, ((10**12, ), ))).size == 0
