"""What a request hears of a server that stops: long answers may end in time, and well."""

from collections.abc import Callable
from typing import Final

from plugpy.conn.fields import ConnFields

_TOLD: Final = "plugpy_draining"
_CALLBACK: Final = "plugpy_on_drain"


def on_drain(conn: ConnFields, callback: Callable[[], object] | None) -> bool:
    """Call `callback` once when the connection of `conn` is drained; None: nothing any more.

    Returns False where it is drained already: nothing is called then.
    """
    if callback is None:
        conn.private.pop(_CALLBACK, None)
    elif _TOLD in conn.private:
        return False
    else:
        conn.private[_CALLBACK] = callback
    return True


def tell_draining(conn: ConnFields) -> None:
    """The connection of `conn` is to finish: for servers."""
    conn.private[_TOLD] = True
    callback = conn.private.pop(_CALLBACK, None)
    if callback is not None:
        callback()
