import os

import pytest
import torch

from mmcls_repmlp.checkpoints import (checkpoint_folder, local_file,
                                      newest_checkpoint, numbered_checkpoints,
                                      read_checkpoint)
from repmlp_lite.errors import CheckpointError


def test_a_folder_stands_for_its_newest(tmp_path):
    for name in ('epoch_9.pth', 'epoch_10.pth'):
        torch.save({'a': name}, tmp_path / name)
    assert read_checkpoint(tmp_path) == {'a': 'epoch_10.pth'}


def test_a_folder_without_any_and_all_else(tmp_path):
    with pytest.raises(CheckpointError, match=r'holds no epoch_N\.pth'):
        read_checkpoint(tmp_path)
    for source in ('https://example.com/', 'no/such/folder'):
        assert newest_checkpoint(source) == source


def test_what_no_file_can_be_called():
    with pytest.raises(CheckpointError, match='checkpoint .* cannot be looke'):
        read_checkpoint('x' * 5000 + '.pth')


def test_home_folders_are_found(tmp_path, monkeypatch):
    (tmp_path / 'a.pth').touch()
    monkeypatch.setenv('HOME', str(tmp_path))
    assert local_file('~/a.pth') == tmp_path / 'a.pth'


def test_nothing_pipes_and_devices_are_no_files(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for path in ('no.pth', tmp_path / 'pipe', '/dev/zero'):
        with pytest.raises(CheckpointError, match="' does not exist: check"):
            read_checkpoint(path)


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
