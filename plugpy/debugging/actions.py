"""Actions: what an exception offers to do about itself (Plug.Exception.actions/1).

A button of the page holds a token: the function by its name, its arguments, an end, all of it
signed. So only what an exception of this application has offered can be called, and only by who
has seen its page. A site whose name is made to lead to this machine (DNS rebinding) would see it
too, so there are buttons on hosts only whose name no other site can have.
"""

import base64
import binascii
import hashlib
import hmac
import importlib
import ipaddress
import json
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from plugpy.conn import Conn, ConnError
from plugpy.conn.crypto import MIN_SECRET_LENGTH, KeyGenerator

PATH: Final = ("__plug__", "debugger", "action")
"""Where the buttons are sent, below the path that leads to the plug."""

MAX_AGE: Final = 3_600
"""Seconds for which a button works."""

MOST_ACTIONS: Final = 10

_SALT: Final = "plugpy.debugger:action"
_OWN_SECRET: Final = secrets.token_bytes(64)


class Action:
    """A button on the debugger's page.

        class DatabaseMissing(Exception):
            def actions(self):
                return [Action("Create the database", create_database, "app.db")]

    label: its text. function: a function of a module, sync or async, called with `arguments`, which
    JSON must hold; what it returns is dropped, and the browser is sent back. Raises TypeError for a
    function that can't be found by its name.
    """

    __slots__ = ("arguments", "function", "label")

    def __init__(self, label: str, function: Callable[..., Any], *arguments: Any) -> None:
        if _find(*_name_of(function)) is not function:
            raise TypeError(f"an action is a function of a module, got {function!r}")
        self.label = label
        self.function = function
        self.arguments = arguments


class InvalidActionError(ConnError):
    """The button is not one of this application's, or too old: load the page again."""

    status = 403


@dataclass(frozen=True, slots=True)
class Button:
    """An action as the page shows it."""

    label: str
    path: str
    token: str
    last_path: str


def buttons(conn: Conn, error: BaseException, hosts: Collection[str]) -> Iterator[Button]:
    """The buttons of the actions that `error` offers; none where its `actions` is no such method,
    and on other hosts.

    What `actions` raises comes out of here.
    """
    offer = getattr(error, "actions", None)
    if not callable(offer) or not is_known_host(conn, hosts):
        return
    for action in list(offer())[:MOST_ACTIONS]:
        if isinstance(action, Action):
            yield Button(
                action.label,
                "/" + "/".join([*conn.script_name, *PATH]),
                _seal(conn, action),
                # A request that changed something is not sent again.
                conn.request_path if conn.method in ("GET", "HEAD") else "/",
            )


def is_action(conn: Conn) -> bool:
    """Whether the request comes from a button."""
    return (
        conn.method == "POST"
        and conn.request_path.endswith("/" + "/".join(PATH))
        and tuple(conn.path_info) == PATH
    )


def is_known_host(conn: Conn, hosts: Collection[str]) -> bool:
    """Whether the request is for this machine by a name of its own: localhost, an address, or one
    of `hosts`, lower case."""
    try:
        host = conn.host
    except ConnError:
        return False
    if host in hosts or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def opened(conn: Conn, token: str) -> tuple[Callable[..., Any], list[Any]]:
    """The function and the arguments in a token. Raises InvalidActionError."""
    payload, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(conn, payload), signature.encode("utf-8", "replace")):
        raise InvalidActionError()
    try:
        data = json.loads(base64.urlsafe_b64decode(payload))
    except (binascii.Error, ValueError):
        raise InvalidActionError() from None
    if data["end"] < time.time():
        raise InvalidActionError()
    return _find(data["module"], data["name"]), data["arguments"]


def _seal(conn: Conn, action: Action) -> str:
    module, name = _name_of(action.function)
    data = {
        "module": module,
        "name": name,
        "arguments": list(action.arguments),
        "end": time.time() + MAX_AGE,
    }
    payload = base64.urlsafe_b64encode(json.dumps(data).encode()).decode()
    return f"{payload}.{_signature(conn, payload).decode()}"


def _signature(conn: Conn, payload: str) -> bytes:
    # The server's secret, so that each worker knows the buttons of the others; a process of its
    # own has one of its own.
    secret = conn.secret_key_base or b""
    key = KeyGenerator.generate(secret if len(secret) >= MIN_SECRET_LENGTH else _OWN_SECRET, _SALT)
    digest = hmac.digest(key, payload.encode("utf-8", "replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest)


def _name_of(function: Any) -> tuple[str, str]:
    return getattr(function, "__module__", "") or "", getattr(function, "__qualname__", "")


def _find(module: str, name: str) -> Any:
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError):
        return None
    return found
