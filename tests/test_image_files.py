import os

import pytest

from mmcls_repmlp.errors import UserError
from mmcls_repmlp.image_files import find_images, is_hidden


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('p/10.png', 'p/2.JPG', 'p/notes.txt', 'p/.3.png',
                 'p/in/1.webp', 'p/.git/4.png', 'p/__MACOSX/5.png',
                 'p/in/deep/a.tif', 'q/x[1].png', 'empty/notes.txt'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(('places', 'found'), [
    (['p'], ['p/2.JPG', 'p/10.png', 'p/in/1.webp', 'p/in/deep/a.tif']),
    (['q', 'p/10.png', 'p/10.png'], ['q/x[1].png', 'p/10.png', 'p/10.png']),
    (['p/notes.txt', 'p/.3.png'], ['p/notes.txt', 'p/.3.png']),
    (['p/*.png'], ['p/10.png']),
    (['p/*'], ['p/2.JPG', 'p/10.png', 'p/in/1.webp', 'p/in/deep/a.tif']),
    (['p/**'], ['p/2.JPG', 'p/10.png', 'p/in/1.webp', 'p/in/deep/a.tif']),
    (['q/x[1].png'], ['q/x[1].png']),
    (['*/x?1?.png'], ['q/x[1].png']),
])
def test_files_folders_and_patterns(photos, places, found):
    assert [path.as_posix() for path in find_images(places)] == found


def test_numbers_in_names_of_folders_count_too(tmp_path):
    for name in ('b10', 'b9', 'A1'):
        (tmp_path / name).mkdir()
        (tmp_path / name / '0.png').touch()
    assert [path.parent.name
            for path in find_images([tmp_path])] == ['A1', 'b9', 'b10']


@pytest.mark.parametrize(
    ('place', 'message'),
    [('empty', "no image in folder 'empty' or below it: name"),
     ('p/*.gif', r"no image matches 'p/\*\.gif'"),
     ('p/no.png', "image 'p/no.png' does not exist"),
     ('', "image '' is no name")])
def test_where_there_is_none(photos, place, message):
    with pytest.raises(UserError, match=message):
        find_images(['p', place])


def test_pipes_are_no_images_but_links_to_nothing_are(tmp_path):
    os.mkfifo(tmp_path / 'a.png')
    (tmp_path / 'b.png').symlink_to('nothing')
    for place in (tmp_path, f'{tmp_path}/*'):
        assert find_images([place]) == [tmp_path / 'b.png']


def test_links_are_followed_and_end(photos):
    (photos / 'q' / 'back').symlink_to(photos / 'q')
    (photos / 'q' / 'other').symlink_to(photos / 'p' / 'in')
    (photos / 'q' / 'gone.png').symlink_to('nowhere')
    assert [path.as_posix() for path in find_images(['q'])] == [
        'q/gone.png', 'q/other/1.webp', 'q/other/deep/a.tif', 'q/x[1].png'
    ]


def test_a_folder_that_cannot_be_read_is_named(photos, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == 'in':
            raise PermissionError(13, 'Permission denied', path)
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(UserError, match="'p/in' cannot be read: Permission"):
        find_images(['p'])


@pytest.mark.parametrize(('name', 'hidden'), [('Thumbs.db', True),
                                              ('.ipynb_checkpoints', True),
                                              ('.git', True),
                                              ('__MACOSX', True),
                                              ('@eaDir', True), ('cat', False),
                                              ('a.b', False), ('_cat', False)])
def test_hidden_names(name, hidden):
    assert is_hidden(name) is hidden
