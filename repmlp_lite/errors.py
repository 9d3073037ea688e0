"""Errors whose message is meant for the person at the keyboard."""
from __future__ import annotations

import re
from collections.abc import Sequence

_NAMED = 3
_OPTION = re.compile(r'option `(\w+)=([^`]*)`')


class UserError(Exception):
    """Something the user can mend; the message says what and how.

    Tools print the message alone and exit with code 2.
    """


class HostError(UserError, ImportError):
    """A host, or a package beside it, that is missing or does not fit."""


class ConfigError(UserError, ValueError):
    """A config that cannot be read or built."""


class CheckpointError(UserError, RuntimeError):
    """A checkpoint that cannot be read, or does not belong to the model."""


class InputError(UserError, ValueError):
    """Images that a model does not take."""


class JobFailedError(Exception):
    """A job that was asked for correctly and did not succeed.

    Tools print the message alone and exit with code 1.
    """


class ImageError(JobFailedError):
    """An image that cannot be read; the message names its file.

    Raised in a process of a data loader, it comes back as the same sentence:
    torch makes it anew from the text of its traceback, whose end is kept.
    """

    def __init__(self, message: str) -> None:
        super().__init__(
            message.rsplit(f'{type(self).__name__}: ', 1)[-1].rstrip())


def option(name: str, value: object = True) -> str:
    """Name an argument of a job in a message, as Python's callers write it.

    Tools show it by :func:`with_flags` as their users write it.

    Args:
        name: The argument.
        value: What to give, or an ellipsis if it is not for the message to
            say. Defaults to True, of a switch.
    """
    return f'option `{name}={"..." if value is ... else value}`'


def with_flags(message: str) -> str:
    """Write the options in a message as a command line takes them."""
    return _OPTION.sub(_flag, message)


def _flag(match: re.Match) -> str:
    flag, value = f'--{match[1].replace("_", "-")}', match[2]
    return flag if value in ('True', '...') else f'{flag} {value}'


def pluralize(count: int, what: str) -> str:
    """Say how many there are of something, such as '1 file' or '2 files'."""
    return f'{count} {what}' if count == 1 else f'{count} {what}s'


def shorten(text: str, length: int) -> str:
    """Make text fit a message: one line, its end cut off if it is longer.

    Args:
        text: Any text, such as a name out of a file.
        length: How many characters are left, at most.
    """
    line = ' '.join(text.split())
    return line if len(line) <= length else f'{line[:length - 3]}...'


def quote_path(path: object, length: int = 60) -> str:
    """Quote a path or an address; of a long one the end, which tells more."""
    text = str(path)
    if len(text) > length:
        text = f'...{text[3 - length:]}'
    return repr(text)


def first_few(names: Sequence[object]) -> str:
    """Name the first few of many, for a message."""
    return ', '.join(map(str,
                         names[:_NAMED])) + (', ...' if names[_NAMED:] else '')
