"""Telling a client that left from an application that is broken."""

from plugpy.conn import ClientDisconnected


def is_disconnect(error: BaseException) -> bool:
    """Whether an application raised `error` because its client has left.

    Frameworks put exceptions of their own in place of what `send` has raised: Starlette's
    ClientDisconnect, Litestar's `raise ... from` it; or several into a group. An error of another
    name that happens while it is handled is an error all the same.
    """
    if isinstance(error, ClientDisconnected):
        return True
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_disconnect, error.exceptions))
    cause = error.__cause__
    if cause is None and "disconnect" in type(error).__name__.lower():
        cause = error.__context__
    return cause is not None and is_disconnect(cause)
