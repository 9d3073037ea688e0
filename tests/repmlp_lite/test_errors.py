import pytest
import torch

from repmlp_lite.errors import (ConfigError, ImageError, UserError, describe,
                                first_few, is_out_of_memory, printable,
                                shorten, translate)


@pytest.mark.parametrize(('error', 'words'), [
    (OSError(18, 'Invalid link', 'a', None, 'b'), "Invalid link: 'a': 'b'"),
    (OSError('cannot identify image'), 'cannot identify image'),
    (MemoryError(), 'there is not enough memory, smaller batches '
     '(batch_size) or images need less (no more is known)'),
    (RuntimeError('shapes\n cannot be   multiplied'),
     'shapes cannot be multiplied'),
    (KeyError('exp_avg'), "KeyError: 'exp_avg'"),
    (KeyError('Foo is not in the registry'), 'Foo is not in the registry'),
    (ZeroDivisionError(), 'ZeroDivisionError'),
    (ValueError('x ' * 1000), f'{"x " * 148}x...'),
])
def test_an_error_in_a_line(error, words):
    assert describe(error) == words


def test_what_pytorch_says_without_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)


def test_errors_of_some_kinds_become_a_sentence():
    error, words = KeyError('arch'), "no model: KeyError: 'arch'"
    with pytest.raises(ConfigError) as caught, translate(
            ConfigError, 'no model', LookupError, SystemExit):
        raise error
    assert str(caught.value) == words and caught.value.__cause__ is error


@pytest.mark.parametrize('error', [
    UserError('a'),
    ImageError('a'),
    torch.OutOfMemoryError('a'),
    KeyboardInterrupt()
])
def test_all_others_pass_unchanged(error):
    with pytest.raises(type(error)) as caught, translate(
            ConfigError, 'no model', Exception):
        raise error
    assert caught.value is error and error.__cause__ is None


def test_text_of_others_is_fit_to_print():
    assert shorten('a\x1b[31m\n  b', 60) == 'a?[31m b'
    assert shorten('abcdefgh', 6) == 'abc...'


@pytest.mark.parametrize('character', [
    '\n', '\r', '\t', '\x1b', '\x07', '\x7f', '\x9b', '\u2028', '\u2029',
    '\u202e', '\u2066', '\u200b', '\ufeff', '\ud800'
])
def test_text_of_others_does_not_control_a_terminal(character):
    assert printable(f'a{character}b') == 'a?b'
    assert character not in first_few([f'a{character}b'])


def test_letters_of_all_scripts_stay():
    for text in ('caf\u00e9', '\u732b', '\u0645\u06cc\u200c\u062e\u0648'
                 '\u0627\u0647\u0645', '\U0001f468\u200d\U0001f33e'):
        assert printable(text) == text
