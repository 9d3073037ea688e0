import pytest

from mmcls_repmlp.jobs.shared.config_files import read_file
from repmlp_lite.errors import ConfigError

GOOD = "model = dict(type='ImageClassifier')\n"


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('name', ['b.py', 'b.json'])
def test_byte_order_marks_are_named(tmp_path, encoding, name):
    (tmp_path / name).write_text(GOOD if 'py' in name else '{}', encoding)
    (tmp_path / 'a.py').write_text(f"_base_ = './{name}'")
    for path in (name, 'a.py'):
        with pytest.raises(ConfigError, match=f"{name}' begins with a byte"):
            read_file(tmp_path / path)


@pytest.mark.parametrize(('message', 'texts'), [
    ('includes itself .*: a.py -> a.py', ["_base_ = './a.py'"]),
    ('includes itself through _base_: b.py -> c.py -> b.py',
     ["_base_ = './b.py'", "_base_ = ['./c.py']", "_base_ = './b.py'"]),
    ("_base_ of '.*b.py' names '.*none.py', which is no file",
     ["_base_ = './b.py'", "_base_ = './none.py'"]),
    (r'never closed \(b.py, line 2\)',
     [f"_base_ = './b.py'\n{GOOD}", 'x = 1\ny = (3\n']),
    (r"a.py', line 2\): .*division by zero", [GOOD + 'x = 1 / 0']),
    (r"b.py', line 2\): .*'nothing' is not defined",
     ["_base_ = './b.py'", GOOD + 'x = nothing']),
    (r"a.py', line 2\): SystemExit: 3", [GOOD + 'raise SystemExit(3)']),
    ('RuntimeError', [GOOD + 'raise RuntimeError']),
    ('cannot be read.*no_such_module',
     [GOOD + 'custom_imports = dict(imports=["no_such_module"])']),
    ("'none'", ["_base_ = './b.py'\nx = {{_base_.none}}", GOOD]),
    ("a.py'", ['\x00\x01']),
    ("a.py'", ['_base_ = 3']),
])
def test_the_file_at_fault_is_named(tmp_path, message, texts):
    for name, text in zip('abc', texts):
        (tmp_path / f'{name}.py').write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_file(tmp_path / 'a.py')


@pytest.mark.parametrize(('name', 'content', 'message'), [
    ('a.json', b'{"model": {', "a.json': .*line 1"),
    ('a.txt', b'', 'should be py, json, yaml or yml'),
    ('a.py', b'\x80\x81\xff', "a.py' cannot be parsed"),
])
def test_files_that_cannot_be_parsed(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_file(tmp_path / name)


def test_memory_is_no_fault_of_a_config(tmp_path):
    (tmp_path / 'a.py').write_text('raise MemoryError')
    with pytest.raises(MemoryError):
        read_file(tmp_path / 'a.py')
