import zipfile

import pytest

from repmlp_lite.errors import UserError
from repmlp_lite.exported.readers.zip_archive import COMPRESSED_BYTES, Archive

A = 'm/a', b'weights'


@pytest.fixture
def write(tmp_path):

    def write(*members, how=zipfile.ZIP_STORED):
        with zipfile.ZipFile(tmp_path / 'a', 'w', how) as file:
            for name, data in members:
                file.writestr(name, data)
        return tmp_path / 'a'

    return write


def test_members_are_named_below_the_folder(write):
    with Archive(write(A, ('m/b/c', b'23'))) as archive:
        assert [*archive] == ['a', 'b/c']
        assert archive.read('b/c') == b'23' and archive.size('b/c') == 2
        assert 'a' in archive and 'x' not in archive


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize('members', [[A, A], [A, ('n/b', b'')], [('a', b'')]])
def test_what_torch_does_not_write_is_refused(write, members):
    with pytest.raises(UserError, match='no archive as torch writes it'):
        Archive(write(*members))


def test_other_compressions_are_refused(write):
    with pytest.raises(UserError, match='packed otherwise'):
        Archive(write(A, how=zipfile.ZIP_BZIP2))


def test_a_bomb_is_refused_before_it_is_unpacked(write):
    bomb = 'm/a', bytes(COMPRESSED_BYTES + 10**6)
    with pytest.raises(UserError, match='claims to unpack to 68,108,864 byte'):
        Archive(write(bomb, how=zipfile.ZIP_DEFLATED))


def test_a_flipped_bit_is_found(write):
    path = write(A)
    path.write_bytes(path.read_bytes().replace(b'weights', b'veights'))
    with Archive(path) as archive:
        with pytest.raises(zipfile.BadZipFile, match='CRC'):
            archive.read('a')
