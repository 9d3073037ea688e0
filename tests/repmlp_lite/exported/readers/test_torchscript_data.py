import pickle
import re

import pytest

from repmlp_lite.errors import UserError
from repmlp_lite.exported.load_exported import load_exported
from tests.helpers import Pickled

HOSTILE = Pickled(print, ('ran', ))


def more_items(data):
    """Claim a storage of more numbers: 108 of them are the convolution's."""
    assert data.count(b'Kl') == 1
    return data.replace(b'Kl', b'M\xff\xff')


def more_rows(data):
    """Claim a first axis of 200 where there are 4."""
    shape = b'(K\x04K\x03K\x03K\x03t'
    assert data.count(shape) == 1
    return data.replace(shape, b'(K\xc8K\x03K\x03K\x03t')


def other_class(data):
    # torch numbers classes of one name that were traced before.
    found, count = re.subn(
        rb'nn\.modules\.conv(\.___torch_mangle_\d+)?\nConv2d',
        rb'classes.rnn\nCell', data)
    assert count
    return found


@pytest.mark.parametrize(('change', 'message'), [
    (more_items, 'of which 432 are there'),
    (more_rows, r'claimed to have the shape \(200, 3, 3, 3\)'),
    (other_class, "names '__torch__.torch.classes.rnn.Cell'"),
    (lambda data: data.replace(b'\ncpu', b'\ncuda').replace(b'cpu', b'gpu'),
     "on 'gpu'"),
    (pickle.dumps(HOSTILE, 2), "names '(__builtin__|builtins).print'"),
    (pickle.dumps(HOSTILE, 4), 'holds SHORT_BINUNICODE|holds FRAME'),
    (b'\x80\x02)r\xff\xff\xff\xff.', 'holds LONG_BINPUT'),
])
def test_only_what_is_there_is_believed(rezip, change, message):
    with pytest.raises(UserError, match=message):
        load_exported(rezip('m.pt', {'data.pkl': change}))
