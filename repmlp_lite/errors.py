"""Errors whose message is meant for the user, and the words for it."""
from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

_OPTION = re.compile(r'option `(\w+)=([^`]*)`')


class UserError(Exception):
    """An error that the user can mend; tools exit with code 2."""


class HostError(UserError, ImportError):
    """A host, or a package beside it, that is missing or does not fit."""


class ConfigError(UserError, ValueError):
    """A config that cannot be read or built."""


class CheckpointError(UserError, RuntimeError):
    """A checkpoint that cannot be read, or does not belong to the model."""


class InputError(UserError, ValueError):
    """Images that a model does not take."""


class JobFailedError(Exception):
    """A job that was asked for correctly and failed; tools exit with 1."""


class ImageError(JobFailedError):
    """An image that cannot be read; the message names its file.

    When a data loader's process raises it, torch builds it again from the text
    of the traceback, of which only the message is kept.
    """

    def __init__(self, message: str) -> None:
        super().__init__(
            message.rsplit(f'{type(self).__name__}: ', 1)[-1].rstrip())


@contextmanager
def translate(to: Callable[[str], Exception], message: str, *kinds:
              type[BaseException]) -> Iterator[None]:
    """Turn errors of some kinds into one with a sentence for the user.

    The error's text follows the message. Errors that have such a sentence
    already, and those of memory, pass unchanged.
    """
    try:
        yield
    except kinds as error:
        has_sentence = isinstance(error, (UserError, JobFailedError))
        if has_sentence or is_out_of_memory(error):
            raise
        raise to(f'{message}: {describe(error)}') from error


def describe(error: BaseException) -> str:
    """Describe an error of any kind in one line.

    The name of its class comes first if its text is not a sentence.
    """
    text = str(error)
    if is_out_of_memory(error):
        text = ('there is not enough memory, smaller batches (batch_size) or '
                f'images need less ({text or "no more is known"})')
    elif isinstance(error, OSError) and error.strerror:
        names = (error.filename, error.filename2)
        text = error.strerror + ''.join(f': {str(name)!r}'
                                        for name in names if name is not None)
    elif isinstance(error, KeyError) and ' ' in text:
        text = str(error.args[0])  # which KeyError would quote
    elif ' ' not in text.strip():
        text = f'{type(error).__name__}: {text}'.rstrip(': ')
    return shorten(text, 300)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory has run out, of the machine or of a device."""
    torch = sys.modules.get('torch')  # not imported, it has raised nothing
    on_device = getattr(torch, 'OutOfMemoryError', MemoryError)
    # On a CPU PyTorch has no class for it, only a text.
    words = re.search("can't allocate memory|not enough memory", str(error))
    return isinstance(error, (MemoryError, on_device)) or bool(
        words and isinstance(error, RuntimeError))


def option(name: str, value: object = True) -> str:
    """Name an argument of a job in a message, as Python callers write it.

    Tools print it as a flag, see :func:`with_flags`. An ellipsis stands for
    a value that the message leaves open.
    """
    return f'option `{name}={"..." if value is ... else value}`'


def with_flags(message: str) -> str:
    """Write the options in a message as flags of a command line."""
    return _OPTION.sub(_flag, message)


def _flag(match: re.Match) -> str:
    flag, value = f'--{match[1].replace("_", "-")}', match[2]
    return flag if value in ('True', '...') else f'{flag} {value}'


def pluralize(count: int, noun: str) -> str:
    """Count things in words, such as '1 file' or '2 files'."""
    return f'{count} {noun}' if count == 1 else f'{count} {noun}s'


def printable(text: str, keep: str = '') -> str:
    """Replace characters that could control a terminal, by question marks.

    All text of others passes here: control characters, line breaks but those
    to ``keep``, changes of the writing direction, halves of surrogate pairs.
    The joiners that many scripts need stay.
    """
    keep += '\u200c\u200d'
    return ''.join(c if c.isprintable() or c in keep else '?' for c in text)


def shorten(text: str, length: int) -> str:
    """Make any text fit a message: printable, in one line, cut at the end."""
    line = printable(' '.join(text.split()))
    return line if len(line) <= length else f'{line[:length - 3]}...'


def quote_path(path: object, length: int = 60) -> str:
    """Quote a path or an address; a long one is cut at the start."""
    text = str(path)
    if len(text) > length:
        text = f'...{text[3 - length:]}'
    return repr(text)


def first_few(names: Sequence[object]) -> str:
    """List the first three names of many, for a message."""
    shown = [shorten(str(name), 200) for name in names[:3]]
    return ', '.join([*shown, *['...'] * (len(names) > 3)])


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return '; did you mean ...?' if a known name is close, or ''."""
    near = difflib.get_close_matches(name, sorted(known), 1, cutoff)
    return f'; did you mean {near[0]!r}?' if near else ''
