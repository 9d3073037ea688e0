import copy
import pickle

import numpy as np
import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from repmlp_lite.errors import CheckpointError
from tests.helpers import Pickled

REBUILD = np.zeros(1).__reduce__()[0]
F8 = np.dtype('f8')


def read(tmp_path, value):
    torch.save(dict(value=value), tmp_path / 'a.pth')
    return read_checkpoint(tmp_path / 'a.pth')['value']


def forged(data, kind=F8, length=2):
    """An array that claims to be of this length and kind."""
    return Pickled(REBUILD, (np.ndarray, (0, ), b'b'),
                   (1, (length, ), kind, False, data))


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
    # Elsewhere they are arrays like any other.
    again = pickle.loads(pickle.dumps(restored))
    assert type(again) is np.ndarray
    for each in (restored, again, copy.deepcopy(restored),
                 read(tmp_path, restored)):
        assert np.array_equal(each, array)


@pytest.mark.parametrize('kind', [np.float32, np.float64, np.int64, np.bool_])
def test_numbers_are_restored(tmp_path, kind):
    restored = read(tmp_path, kind(-2.5))
    assert restored == kind(-2.5) and restored.dtype == kind


# numpy would take the numbers for the addresses of objects.
FLAGS = None, None, None, 8, 8, 63


@pytest.mark.parametrize('value', [
    *(Pickled(np.dtype, (kind, False, True)) for kind in ('O', 'V8')),
    Pickled(np.dtype, ('f8', False, True), (3, 'S', *FLAGS)),
    np.array([None]),
    np.array(['text']),
    np.array(b'bytes'),
    np.zeros(2, [('a', 'f4')]),
    np.datetime64('2020-01-01'),
    forged(b'short', length=1000),
    forged(bytes(16), kind='f8'),
    forged([1, 2]),
    forged('\0' * 16),
    Pickled(np.float64(1).__reduce__()[0], (F8, b''))
])
def test_everything_else_is_refused(tmp_path, value):
    with pytest.raises(CheckpointError):
        read(tmp_path, value)


def test_a_forged_dtype_does_not_reach_numpy(tmp_path):
    kind = Pickled(np.dtype, ('f8', False, True), (3, '<', *FLAGS))
    restored = read(tmp_path, forged(np.arange(2.).tobytes(), kind))
    assert not restored.dtype.hasobject
    assert np.array_equal(restored, [0., 1.])


def test_a_small_file_does_not_make_a_large_array(tmp_path):
    assert read(tmp_path, Pickled(np.ndarray, ((10**12, ), ))).size == 0
