import io
import random
import zipfile

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from repmlp_lite.errors import CheckpointError
from tests.fuzz import example_files, example_weights

DATA = example_files(example_weights())['weights']


@pytest.fixture
def entries():
    """Members of an archive, by their descriptions."""
    with zipfile.ZipFile(io.BytesIO(DATA)) as archive:
        return {entry: archive.read(entry) for entry in archive.infolist()}


def test_a_flipped_bit_in_any_weight_is_found(tmp_path, entries):
    path = tmp_path / 'a.pth'
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
def test_a_file_that_is_larger_in_memory_is_refused(tmp_path, entries, noise,
                                                    zeros, claim):
    path = tmp_path / 'a.pth'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as target:
        for entry, content in entries.items():
            target.writestr(entry.filename, content)
        target.writestr('archive/data/8', random.Random(0).randbytes(noise))
        target.writestr('archive/data/9', bytes(zeros))
    with pytest.raises(CheckpointError, match=f'claim to hold {claim}:'):
        read_checkpoint(path)
