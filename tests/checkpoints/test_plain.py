import pickle
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.checkpoints.plain import restore_histories, to_plain
from repmlp_lite.errors import CheckpointError

PLAIN = (dict, list, tuple, str, bytes, int, float, bool, type(None),
         torch.Tensor)


def all_of(value):
    yield value
    inner = [*value, *value.values()] if isinstance(
        value, dict) else (value if isinstance(value, (list, tuple)) else ())
    for part in inner:
        yield from all_of(part)


@pytest.fixture
def read(tmp_path):

    def write_and_read(content):
        torch.save(content, tmp_path / 'a.pth')
        return read_checkpoint(tmp_path / 'a.pth')

    return write_and_read


def hostile(value, *names):
    """Attributes of its own, which weights-only unpickling restores."""
    for name in names:
        setattr(value, name, 'not a method')
    return value


def test_all_that_is_read_is_plain(read):
    shared = torch.arange(6.)
    content = dict(
        a=hostile(
            OrderedDict(w=hostile(torch.ones(2), 'detach', 'cpu')), 'values',
            'keys'),
        b=hostile(nn.Parameter(torch.ones(2)), 'detach', 'resolve_neg'),
        c=[Counter(x=1), {1, 2},
           torch.Size([2]), (1, [None])],
        d=np.float64(2),
        e=np.arange(3, dtype='>i4'),
        f=HistoryBuffer([1., 2.], [1, 1], 9),
        g=torch.float16,
        views=[shared[:3], shared[3:]])
    found = read(content)
    assert {type(part) for part in all_of(found)} <= {*PLAIN}
    assert found['a']['w'].equal(torch.ones(2))
    assert type(found['b']) is torch.Tensor and not found['b'].requires_grad
    assert found['c'] == [{'x': 1}, [1, 2], (2, ), (1, [None])]
    assert found['d'] == 2 and found['e'].tolist() == [0, 1, 2]
    assert found['g'] == 'torch.float16'
    first, second = found['views']
    assert (first.untyped_storage().data_ptr() ==
            second.untyped_storage().data_ptr())
    assert to_plain(found, 'a.pth').keys() == content.keys()


def test_histories_are_restored_and_change_no_class(read):
    methods = dict(HistoryBuffer._statistics_methods)
    buffer = HistoryBuffer([1., 2.], [1, 1], 9)
    buffer._statistics_methods = {'min': HistoryBuffer.max}
    hub = restore_histories(read(dict(log_scalars=dict(loss=buffer))))
    restored = hub['log_scalars']['loss']
    assert type(restored) is HistoryBuffer
    assert (restored.min(), restored.mean(), restored.max_length) == (1, 1.5,
                                                                      9)
    assert HistoryBuffer._statistics_methods == methods
    again = pickle.loads(pickle.dumps(restored))
    assert again.data[0].tolist() == [1., 2.]


def endless():
    loop = []
    loop.append(loop)
    return loop


def many():
    part = 'x'
    for _ in range(8):
        part = [part] * 10
    return part


@pytest.mark.parametrize(('value', 'message'), [
    (endless(), 'nested too deep'),
    (many(), 'holds too much'),
    ({
        (1, ): 2
    }, 'keys that are no texts or numbers'),
    (10**1000, "type 'int'"),
    (1j, "type 'complex'"),
    (torch.eye(2).to_sparse(), 'no plain tensor'),
    (torch.ones(1, device='meta'), 'only a shape'),
    (torch.ones(1).expand(2**16, 2**16), 'claim 17,179,869,184 .* hold 4'),
])
def test_what_is_not_is_refused(value, message):
    with pytest.raises(CheckpointError, match=f"'a.pth' .*{message}"):
        to_plain(dict(b=dict(c=value)), 'a.pth')
