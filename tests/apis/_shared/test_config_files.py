import pytest

from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.errors import ConfigError

GOOD = "model = dict(type='ImageClassifier')\n"


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('name', ['b.py', 'b.json'])
def test_byte_order_marks_are_named(tmp_path, encoding, name):
    (tmp_path / name).write_text(GOOD if 'py' in name else '{}', encoding)
    (tmp_path / 'a.py').write_text(f"_base_ = './{name}'")
    for path in (name, 'a.py'):
        with pytest.raises(ConfigError, match=f"{name}' begins with a byte"):
            read_config(tmp_path / path)


@pytest.mark.parametrize(
    ('files', 'message'),
    [({
        'a.py': "_base_ = './a.py'"
    }, 'includes itself .*: a.py -> a.py'),
     ({
         'a.py': "_base_ = './b.py'",
         'b.py': "_base_ = ['./c.py']",
         'c.py': "_base_ = './b.py'"
     }, r'includes itself through _base_: b.py -> c.py -> b.py'),
     ({
         'a.py': "_base_ = './b.py'",
         'b.py': "_base_ = './none.py'"
     }, r"_base_ of '.*b.py' names '.*none.py', which is no file"),
     ({
         'a.py': f"_base_ = './b.py'\n{GOOD}",
         'b.py': 'x = 1\ny = (3\n'
     }, r"never closed in '.*b.py', line 2"),
     ({
         'a.py': GOOD + 'x = 1 / 0'
     }, r'division by zero \(line 2\)'),
     ({
         'a.py': GOOD + 'x = [][1]'
     }, r'index out of range \(line 2\)'),
     ({
         'a.py': GOOD + 'x = nothing'
     }, r"'nothing' is not defined \(line 2\)"),
     ({
         'a.py': GOOD + 'raise SystemExit(3)'
     }, r'cannot be read: 3 \(line 2\)'),
     ({
         'a.py': GOOD + 'raise RuntimeError'
     }, 'RuntimeError'),
     ({
         'a.py': "_base_ = './b.py'\nx = {{_base_.none}}",
         'b.py': GOOD
     }, "'none' is defined nowhere"), ({
         'a.py': '\x00\x01'
     }, r"a.py'"), ({
         'a.py': '_base_ = 3'
     }, "a.py'"), ({
         'a.json': '{"model": {'
     }, "a.json': .*line 1"),
     ({
         'a.txt': GOOD
     }, 'should be py, json, yaml or yml')])
def test_the_file_at_fault_is_named(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / next(iter(files)))


def test_what_is_no_text(tmp_path):
    (tmp_path / 'a.py').write_bytes(b'\x80\x81\xff')
    with pytest.raises(ConfigError, match="codec can't decode .*a.py'"):
        read_config(tmp_path / 'a.py')


def test_a_folder(tmp_path):
    with pytest.raises(ConfigError, match='is a folder, name a file in it'):
        read_config(tmp_path)


def test_memory_is_no_fault_of_a_config(tmp_path):
    (tmp_path / 'a.py').write_text('raise MemoryError')
    with pytest.raises(MemoryError):
        read_config(tmp_path / 'a.py')
