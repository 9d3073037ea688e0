import pickle
from unittest.mock import Mock

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from repmlp_lite.errors import CheckpointError


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
def test_any_error_of_torch_is_one_sentence(tmp_path, monkeypatch, error,
                                            message):
    torch.save({}, tmp_path / 'a.pth')
    monkeypatch.setattr(torch, 'load', Mock(side_effect=error))
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(tmp_path / 'a.pth')
    assert '\n' not in str(caught.value)
