import os

import pytest

from mmcls_repmlp.recipe.hooks.whole_files import (WholeFilesBackend,
                                                   checkpoint_folder,
                                                   numbered_checkpoints)
from repmlp_lite.errors import JobFailedError


def test_checkpoints_come_by_number_not_by_name_or_date(tmp_path):
    for name in ('epoch_9.pth', 'epoch_10.pth', 'iter_700.pth', 'epoch_x.pth',
                 'best_acc_epoch_11.pth', 'epoch_12.pth.tmp', 'epoch_-1.pth'):
        (tmp_path / name).touch()
    (tmp_path / 'epoch_13.pth').mkdir()
    paths = [(10, tmp_path / 'epoch_10.pth'), (9, tmp_path / 'epoch_9.pth'),
             (700, tmp_path / 'iter_700.pth')]
    assert numbered_checkpoints(tmp_path) == paths
    own = tmp_path / 'a[1]_3.pth'
    own.touch()
    assert numbered_checkpoints(tmp_path, 'a[1]_{}.pth') == [(3, own), *paths]
    assert numbered_checkpoints(tmp_path / 'none') == []


@pytest.mark.parametrize(('out_dir', 'folder'), [(None, '/a/work'),
                                                 ('/a/work', '/a/work'),
                                                 ('/b', '/b/work')])
def test_the_folder_of_checkpoints(out_dir, folder):
    assert str(checkpoint_folder('/a/work', out_dir)) == folder


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
