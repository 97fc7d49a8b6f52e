"""Why a server could not start or went down, each with the exit code of its command.

| exit code | meaning |
|---|---|
| 0 | served, drained and stopped, or the check that was asked for found nothing |
| 1 | a failure while serving, or a check that found something |
| 2 | wrong usage: an unknown option, a value that can't be read |
| 3 | the server or its application could not be started |
"""

from collections.abc import Iterable
from typing import Final

EXIT_OK: Final = 0
EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2
EXIT_START: Final = 3


class ServerError(Exception):
    """The base. `exit_code` is what the command line ends with; the message is for its user."""

    exit_code: int = EXIT_FAILURE


class ConfigurationError(ServerError):
    """An option is unknown, or has a value that it can't have."""

    exit_code = EXIT_USAGE


class StartError(ServerError):
    """The server could not be started: a port in use, a missing extra, a bad descriptor."""

    exit_code = EXIT_START


class ApplicationError(StartError):
    """The application could not be imported, or is not something that can be served."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'port'?"` when a word close to `word` is among `known`, else `""`."""
    # Only a failure pays for difflib (3 ms).
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), n=3, cutoff=0.6)
    if not close:
        return ""
    return "; did you mean " + " or ".join(repr(name) for name in close) + "?"
