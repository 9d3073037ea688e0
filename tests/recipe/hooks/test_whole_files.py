import os

import pytest

from mmcls_repmlp.recipe.hooks.whole_files import WholeFilesBackend
from repmlp_lite.errors import JobFailedError


def test_a_file_is_the_old_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    WholeFilesBackend().put(b'old', path)
    WholeFilesBackend().put_text('ä', path)
    assert path.read_bytes() == 'ä'.encode()

    def full(source, target):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(
            JobFailedError,
            match=r"file' cannot be written \(No "
            'space left on device'):
        WholeFilesBackend().put(b'new', path)
    assert path.read_bytes() == 'ä'.encode()
    assert [*tmp_path.iterdir()] == [path]
