import io
import os
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from repmlp_lite.errors import UserError
from repmlp_lite.image_files import find_images, is_cut_off


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(*places):
    return [path.as_posix() for path in find_images(places)]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, 'p/10.png', 'p/2.JPG', 'p/notes.txt', 'p/.3.png',
         'p/in/1.webp', 'p/.git/4.png', 'p/__MACOSX/5.png', 'p/in/deep/a.tif',
         'q/x[1].png', 'empty/notes.txt', 'n/b10/0.HEIC', 'n/b9/0.png',
         'n/A1/0.dng')
    return tmp_path


IN_P = ['p/2.JPG', 'p/10.png', 'p/in/1.webp', 'p/in/deep/a.tif']


@pytest.mark.parametrize(('places', 'images'), [
    (['p'], IN_P),
    (['q', 'p/10.png', 'p/10.png'], ['q/x[1].png', 'p/10.png', 'p/10.png']),
    (['p/notes.txt', 'p/.3.png'], ['p/notes.txt', 'p/.3.png']),
    (['p/*.png'], ['p/10.png']),
    (['p/*'], IN_P),
    (['p/**'], IN_P),
    (['q/x[1].png'], ['q/x[1].png']),
    (['*/x?1?.png'], ['q/x[1].png']),
    (['n'], ['n/A1/0.dng', 'n/b9/0.png', 'n/b10/0.HEIC']),
])
def test_files_folders_and_patterns(photos, places, images):
    assert found(*places) == images


@pytest.mark.parametrize(
    ('place', 'message'),
    [('empty', "no image in folder 'empty' or below it: name"),
     ('p/*.gif', r"no image matches 'p/\*\.gif'"),
     ('p/no.png', "image 'p/no.png' does not exist"),
     ('', "image '' does not exist")])
def test_where_there_is_none(photos, place, message):
    with pytest.raises(UserError, match=message):
        find_images(['p', place])


def test_pipes_are_no_images_but_links_to_nothing_are(photos):
    os.mkfifo('empty/a.png')
    os.symlink('nothing', 'empty/b.png')
    for place in ('empty', 'empty/*'):
        assert found(place) == ['empty/b.png']


def test_links_are_followed_and_end(photos):
    (photos / 'q' / 'back').symlink_to(photos / 'q')
    (photos / 'q' / 'other').symlink_to(photos / 'p' / 'in')
    assert found('q') == ['q/other/1.webp', 'q/other/deep/a.tif', 'q/x[1].png']


def test_a_folder_that_cannot_be_read_is_named(photos, monkeypatch):
    error = PermissionError(13, 'Permission denied', 'p')
    monkeypatch.setattr(os, 'scandir', Mock(side_effect=error))
    with pytest.raises(UserError, match="'p' cannot be read: Permission"):
        find_images(['p'])


def encoded(kind, **options):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def test_jpeg_files_without_an_end():
    # The preview in the header has an end of its own.
    exif = Image.Exif()
    exif[0x927c] = b'\xff\xd8\xff\xda..\xff\xd9'
    whole = encoded('JPEG', exif=exif)
    assert whole.find(b'\xff\xd9') < len(whole) // 2
    for content in (whole, encoded('JPEG', progressive=True)):
        assert not is_cut_off(content)
        assert not is_cut_off(content + b'\xff\xda and a film after it')
        assert not is_cut_off(content[:2] + b'\xff' + content[2:])
        assert all(
            is_cut_off(content[:size])
            for size in (len(content) // 2, len(content) - 1))
    assert not is_cut_off(encoded('PNG')[:50])  # its decoder says so
