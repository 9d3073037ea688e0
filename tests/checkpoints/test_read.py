import io
import pickle
import random
import zipfile
from unittest.mock import Mock

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from repmlp_lite.errors import CheckpointError
from tests.fuzz import example_files, example_weights

DATA = example_files(example_weights())['weights']


@pytest.fixture
def path(tmp_path):
    (tmp_path / 'a.pth').write_bytes(DATA)
    return tmp_path / 'a.pth'


@pytest.fixture
def entries():
    """Members of an archive, by their descriptions."""
    with zipfile.ZipFile(io.BytesIO(DATA)) as archive:
        return {entry: archive.read(entry) for entry in archive.infolist()}


def test_a_flipped_bit_in_any_weight_is_found(path, entries):
    tensors = [entry for entry in entries if '/data/' in entry.filename]
    assert len(tensors) == 6
    for entry in tensors:
        damaged = bytearray(DATA)
        damaged[DATA.index(entries[entry], entry.header_offset)] ^= 1
        path.write_bytes(damaged)
        torch.load(path, weights_only=True)  # does not notice
        words = f'the checksum of .*{entry.filename}.* is wrong'
        with pytest.raises(CheckpointError, match=words):
            read_checkpoint(path)


@pytest.mark.parametrize(('noise', 'zeros', 'claim'),
                         [(0, 10**7, r'10,00\d,\d{3}'),
                          (10**5, 10**4, r'11\d,\d{3}')])
def test_a_file_that_is_larger_in_memory_is_refused(path, entries, noise,
                                                    zeros, claim):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as target:
        for entry, content in entries.items():
            target.writestr(entry.filename, content)
        target.writestr('archive/data/8', random.Random(0).randbytes(noise))
        target.writestr('archive/data/9', bytes(zeros))
    with pytest.raises(CheckpointError, match=f'claim to hold {claim}:'):
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
