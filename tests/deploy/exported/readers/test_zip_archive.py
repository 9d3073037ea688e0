import zipfile

import pytest

from mmcls_repmlp.deploy.exported.readers.zip_archive import (COMPRESSED_BYTES,
                                                              Archive)
from mmcls_repmlp.errors import UserError


def write(path, members, how=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, 'w', how) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def test_members_are_named_below_the_folder(tmp_path):
    path = write(tmp_path / 'a', [('m/a', b'1'), ('m/b/c', b'23')])
    with Archive(path) as archive:
        assert [*archive] == ['a', 'b/c'] and archive.root == 'm'
        assert archive.read('b/c') == b'23' and archive.size('b/c') == 2
        assert 'a' in archive and 'x' not in archive


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize('members',
                         [[('m/a', b'1'),
                           ('m/a', b'2')], [('m/a', b'1'),
                                            ('n/b', b'2')], [('a', b'1')]])
def test_what_torch_does_not_write_is_refused(tmp_path, members):
    with pytest.raises(UserError, match='no archive as torch writes it'):
        Archive(write(tmp_path / 'a', members))


def test_other_compressions_are_refused(tmp_path):
    path = write(tmp_path / 'a', [('m/a', b'1')], zipfile.ZIP_BZIP2)
    with pytest.raises(UserError, match='packed otherwise'):
        Archive(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = write(tmp_path / 'a', [('m/a', bytes(COMPRESSED_BYTES + 10**6))],
                 zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match='claims to unpack to 68,108,864 byte'):
        Archive(path)


def test_a_flipped_bit_is_found(tmp_path):
    path = write(tmp_path / 'a', [('m/a', b'weights')])
    path.write_bytes(path.read_bytes().replace(b'weights', b'veights'))
    with Archive(path) as archive, pytest.raises(
            zipfile.BadZipFile, match='CRC'):
        archive.read('a')
