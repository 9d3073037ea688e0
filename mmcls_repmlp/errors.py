"""Errors whose message is meant for the person at the keyboard."""
from __future__ import annotations


class UserError(Exception):
    """Something the user can mend; the message says what and how.

    Tools print the message alone and exit with code 2.
    """


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
