import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.checkpoints.safe_globals import (ALLOWED,
                                                   allow_mmengine_checkpoints)
from repmlp_lite.errors import CheckpointError
from tests.helpers import Pickled, making


def load_by_mmengine(path):
    return CheckpointLoader.load_checkpoint(str(path), 'cpu')


@pytest.fixture
def save(tmp_path):

    def save(hub):
        torch.save(dict(state_dict={}, message_hub=hub), tmp_path / 'a.pth')
        return tmp_path / 'a.pth'

    return save


def test_message_hub_of_mmengine_is_read_back(save):
    hub = dict(
        loss=HistoryBuffer([1., 2.5], [1, 1]),
        info=dict(best=np.float32(0.5), count=np.int64(3)))
    read = read_checkpoint(save(hub))['message_hub']
    assert read['loss'].mean() == 1.75
    assert read['loss'].statistics('max') == 2.5
    assert read['info'] == dict(best=0.5, count=3)


@pytest.mark.parametrize('package', ['core', '_core'])
@pytest.mark.parametrize('name', ['_reconstruct', 'scalar'])
def test_both_names_of_numpys_functions_are_known(package, name):
    allowed = torch.serialization.get_safe_globals()
    known = {entry[1] for entry in allowed if isinstance(entry, tuple)}
    assert f'numpy.{package}.multiarray.{name}' in known


def test_allowing_twice_adds_nothing():
    before = set(torch.serialization.get_safe_globals())
    allow_mmengine_checkpoints()
    assert set(torch.serialization.get_safe_globals()) == before


def test_only_our_own_stand_ins_and_history_buffers_are_allowed():
    allowed = (e[0] if isinstance(e, tuple) else e for e in ALLOWED)
    ours = 'mmcls_repmlp.checkpoints'
    assert {f'{e.__module__}.{e.__name__}'
            for e in allowed} == {
                'mmengine.logging.history_buffer.HistoryBuffer',
                f'{ours}.safe_globals._history_buffer_method',
                *(f'{ours}.safe_numpy.{name}'
                  for name in ('NumberArray', 'NumberType', 'empty_bytes',
                               'restore_scalar'))
            }


@pytest.fixture
def others():
    """Lets a test change torch's allow-list."""
    before = torch.serialization.get_safe_globals()
    yield torch.serialization
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


@pytest.mark.parametrize('load', [read_checkpoint, load_by_mmengine])
def test_what_others_allowed_does_not_count(save, others, marker, load):
    # As onedl-mmengine does, and worse.
    others.add_safe_globals([exec, getattr])
    for payload in (making(marker),
                    Pickled(getattr, (HistoryBuffer, '__init__'))):
        with pytest.raises(CheckpointError, match='could run code'):
            load(save(payload))
        assert {exec, getattr} <= set(others.get_safe_globals())


def test_what_others_took_away_is_still_read(save, others):
    path = save(HistoryBuffer([1.], [1]))
    others.clear_safe_globals()
    assert read_checkpoint(path)['message_hub'].mean() == 1
    assert others.get_safe_globals() == []


@pytest.mark.parametrize(
    'load', [read_checkpoint, lambda path: torch.load(path), load_by_mmengine])
@pytest.mark.parametrize('payload', [
    making,
    lambda path: Pickled(getattr, (HistoryBuffer, '__init__')),
    lambda path: Pickled(getattr, (np.ndarray, '__reduce__')),
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
