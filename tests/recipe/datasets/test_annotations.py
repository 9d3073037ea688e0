import pytest

from mmcls_repmlp.recipe.datasets.annotations import read_annotations
from repmlp_lite.errors import ConfigError

EXPECTED = [('a/x y.png', 0), ('b/é.png', 12)]


def write(folder, content):
    path = folder / 'list.txt'
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize('content', [
    'a/x y.png 0\nb/é.png 12\n', 'a/x y.png 0\r\nb/é.png 12\r\n',
    '\ufeffa/x y.png 0\r\nb/é.png 12', 'a/x y.png\t0\n\n  b/é.png 12 \n\n'
])
def test_as_editors_write_it(tmp_path, content):
    path = write(tmp_path, content.encode())
    assert read_annotations(path) == EXPECTED
    assert read_annotations(path, classes=13) == EXPECTED


@pytest.mark.parametrize(
    ('line', 'message'),
    [('c.png', "line 2 of '.*list.txt', 'c.png', does not end in a label"),
     ('c.png cat', 'line 2 of .* does not end in a label'),
     ('c.png 13', 'line 2 of .* that no class has: count from 0 to 12'),
     ('c.png -1', 'line 2 of .* that no class has')])
def test_the_line_is_named(tmp_path, line, message):
    path = write(tmp_path, f'a.png 1\n{line}\na.png 2'.encode())
    with pytest.raises(ConfigError, match=message):
        read_annotations(path, classes=13)


@pytest.mark.parametrize(
    ('content', 'message'),
    [(b'\n \n', 'is empty'),
     ('a.png 0'.encode('utf-16'), 'list.txt.* is no text in UTF-8')])
def test_what_is_no_list(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message):
        read_annotations(write(tmp_path, content))
