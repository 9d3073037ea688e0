import pytest

from repmlp_lite.command_line.literals import holds_dictionary, read_literal


@pytest.mark.parametrize(('written', 'value'), [
    ("dict(type='A', sizes=(1, 2), on=True)",
     dict(type='A', sizes=(1, 2), on=True)),
    ("[dict(type='A'), dict(b=dict(c=-1.5))]",
     [dict(type='A'), dict(b=dict(c=-1.5))]),
    ('{"type": "A=B", "none": None}', dict(type='A=B', none=None)),
    ('"[dict(type=\'A\')]"', [dict(type='A')]),
])
def test_dictionaries_are_read_as_in_a_config(written, value):
    assert holds_dictionary(written)
    assert read_literal(written) == value


@pytest.mark.parametrize('written', [
    'dict(type=A)', 'dict([(1, 2)])', "dict(**{'a': 1})", 'dict(a=print())',
    "[dict(a=__import__('os'))]", "dict(type='A'", '{"a": 1', '{' * 9999
])
def test_nothing_is_run(written):
    assert holds_dictionary(written)
    with pytest.raises(ValueError):
        read_literal(written)


@pytest.mark.parametrize(
    'written', ['1', '[(1,2)]', 'dictionary', 'epoch_{}.pth', 'a.dict(b)', ''])
def test_what_holds_none(written):
    assert not holds_dictionary(written)
