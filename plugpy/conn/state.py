"""The states of a response (Plug.Conn `state`), in the order that a response goes through them.

    unset -> set          -> sent         resp, send_resp
    unset -> set_file     -> file         send_file
    unset -> set_chunked  -> chunked      send_chunked, chunk
    unset -> set_upgrade  -> upgraded     upgrade_adapter

A `set_*` state lasts while before_send callbacks run. Everything before `sent` is "unsent": the
response may still be changed.
"""

from typing import Final, Literal

State = Literal[
    "unset",
    "set",
    "set_file",
    "set_chunked",
    "set_upgrade",
    "sent",
    "file",
    "chunked",
    "upgraded",
]

UNSET: Final = "unset"
SET: Final = "set"
SET_FILE: Final = "set_file"
SET_CHUNKED: Final = "set_chunked"
SET_UPGRADE: Final = "set_upgrade"
SENT: Final = "sent"
FILE: Final = "file"
CHUNKED: Final = "chunked"
UPGRADED: Final = "upgraded"

UNSENT_STATES: Final[frozenset[str]] = frozenset({UNSET, SET, SET_FILE, SET_CHUNKED, SET_UPGRADE})
"""The states in which the response may still be changed."""
