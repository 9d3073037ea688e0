import io
import random
import zipfile

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.checkpoints.checksums import check_archive
from mmcls_repmlp.errors import CheckpointError
from tests.fuzz import example_files, example_weights

FILES = example_files(example_weights())


def test_a_flipped_bit_in_any_weight_is_found(tmp_path):
    path = tmp_path / 'a.pth'
    data = FILES['weights']
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        tensors = [
            entry for entry in archive.infolist() if '/data/' in entry.filename
        ]
    assert len(tensors) == 6
    for entry in tensors:
        start = data.index(archive_content(data, entry), entry.header_offset)
        damaged = bytearray(data)
        damaged[start] ^= 1
        path.write_bytes(damaged)
        # torch does not notice.
        torch.load(path, weights_only=True)
        with pytest.raises(
                CheckpointError,
                match=r'the checksum of .*'
                f'{entry.filename}.* is wrong'):
            read_checkpoint(path)


def archive_content(data, entry):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(entry)


@pytest.mark.parametrize(('noise', 'zeros', 'claim'),
                         [(0, 10**8, r'100,00\d,\d{3}'),
                          (10**5, 10**4, r'11\d,\d{3}')])
def test_a_file_that_is_larger_in_memory_is_refused(tmp_path, noise, zeros,
                                                    claim):
    path = tmp_path / 'a.pth'
    with zipfile.ZipFile(io.BytesIO(FILES['weights'])) as source, \
            zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
        target.writestr('archive/data/8', random.Random(0).randbytes(noise))
        target.writestr('archive/data/9', bytes(zeros))
    with pytest.raises(CheckpointError, match=f'claim to hold {claim}:'):
        read_checkpoint(path)


@pytest.mark.parametrize('name', FILES)
def test_whole_files_pass(tmp_path, name):
    (tmp_path / 'a.pth').write_bytes(FILES[name])
    check_archive(tmp_path / 'a.pth')
