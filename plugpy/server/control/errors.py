"""What can go wrong with a command."""

from typing import Any, Final

CODES: Final = {
    "usage": "the command or its arguments are wrong",
    "refused": "it can't be done here, and the message says why",
    "not_found": "there is no such process, connection or listener",
    "blocked": "the event loop did not take the command in time; the message has its stack",
    "failed": "it was tried and went wrong",
}
"""The codes of errors."""


class ControlError(Exception):
    """A command was not carried out. code: one of CODES."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def as_answer(self) -> dict[str, Any]:
        """Its part of an answer."""
        return {"error": {"code": self.code, "message": str(self)}}


class NoServerError(Exception):
    """No server was found, or it does not answer."""
