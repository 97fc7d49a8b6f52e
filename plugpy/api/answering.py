"""Answering: what a typed handler returns becomes a response, by its return annotation."""

import inspect
import typing
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from plugpy.api.errors import ResponseTypeError
from plugpy.api.models import Model, WrongValue, bare, is_union, model_of, show
from plugpy.api.parameters import is_conn
from plugpy.conn.conn import Conn
from plugpy.pipeline.steps import describe

JSON: Final = "application/json"
TEXT: Final = "text/plain"
BYTES: Final = "application/octet-stream"

Answer = Callable[[Conn, Any], Conn]


class Returns:
    """The answer of a handler. type: of the body, None where there is none. media_type: of the
    body; None for handlers whose annotation does not tell. status: unless one was put."""

    __slots__ = ("answer", "media_type", "model", "status", "type")

    def __init__(self, handler: Any, annotation: Any, status: int | None) -> None:
        """Raises TypeError for an annotation that no library can write."""
        self.type = _without_conn(annotation)
        self.model: Model | None = None
        self.media_type: str | None = None
        self.status = 200 if status is None else status
        kind = bare(self.type)
        self.answer: Answer
        if kind is None or kind is type(None):
            self.status = 204 if status is None else status
            self.answer = self._nothing(handler)
        elif kind is inspect.Parameter.empty or kind in (Any, object):
            self.answer = self._anything(handler)
        elif kind in (str, bytes):
            self.media_type = TEXT if kind is str else BYTES
            self.answer = self._plain(handler, kind)
        else:
            try:
                self.model = model_of(self.type)
            except TypeError as error:
                raise TypeError(
                    f"the typed handler {describe(handler)}: its return annotation: {error}"
                ) from error
            self.media_type = JSON
            members = typing.get_args(kind) if is_union(kind) else (kind,)
            is_tuple = any((typing.get_origin(one) or one) is tuple for one in map(bare, members))
            self.answer = self._json(handler, self.model, is_tuple)

    def _json(self, handler: Any, model: Model, is_tuple: bool) -> Answer:
        status = self.status

        def answer(conn: Conn, value: Any) -> Conn:
            if type(value) is tuple and not is_tuple:
                value = _take_status(conn, value)
            try:
                body = model.to_json(value)
            except WrongValue as error:
                raise _wrong(handler, model.type, error) from None
            return _send(conn, status, body)

        return answer

    def _plain(self, handler: Any, kind: type[str] | type[bytes]) -> Answer:
        status, media_type = self.status, self.media_type

        def answer(conn: Conn, value: Any) -> Conn:
            if type(value) is tuple:
                value = _take_status(conn, value)
            if not isinstance(value, kind):
                raise ResponseTypeError(
                    f"the typed handler {describe(handler)} says that it returns {kind.__name__}, "
                    f"and has returned {type(value).__name__}"
                )
            if kind is bytes and not conn.get_resp_header("content-type"):
                conn.put_resp_header("content-type", media_type or BYTES)
            return conn.send_resp(conn.status or status, value)

        return answer

    def _nothing(self, handler: Any) -> Answer:
        status = self.status

        def answer(conn: Conn, value: Any) -> Conn:
            if value is not None:
                raise ResponseTypeError(
                    f"the typed handler {describe(handler)} says that it returns None, and has "
                    f"returned {type(value).__name__}"
                )
            return conn.send_resp(conn.status or status, b"")

        return answer

    def _anything(self, handler: Any) -> Answer:
        """Without an annotation: by the value."""
        status = self.status
        models: dict[type, Model] = {}

        def answer(conn: Conn, value: Any) -> Conn:
            if type(value) is tuple:
                value = _take_status(conn, value)
            if isinstance(value, str):
                return conn.send_resp(conn.status or status, value)
            if value is None or isinstance(value, bytes | Conn):
                raise ResponseTypeError(
                    f"the typed handler {describe(handler)} has returned {type(value).__name__}; "
                    "annotate what it returns: None for an answer without body, bytes, or a model"
                )
            kind = type(value)
            model = models.get(kind)
            if model is None:
                model = models[kind] = model_of(kind)
            return _send(conn, status, model.to_json(value))

        return answer


def _send(conn: Conn, status: int, body: bytes) -> Conn:
    if not conn.get_resp_header("content-type"):
        conn.put_resp_header("content-type", JSON)
    return conn.send_resp(conn.status or status, body)


def _take_status(conn: Conn, value: tuple[Any, ...]) -> Any:
    """(status, value), as untyped handlers may return it; other tuples are values."""
    if len(value) == 2 and type(value[0]) in (int, HTTPStatus) and 100 <= value[0] <= 599:
        conn.put_status(value[0])
        return value[1]
    return value


def _wrong(handler: Any, type_: Any, error: WrongValue) -> ResponseTypeError:
    wrong = error.wrongs[0]
    where = "".join(f"[{part!r}]" for part in wrong.path)
    return ResponseTypeError(
        f"the typed handler {describe(handler)} has returned what is no {show(type_)}: "
        f"{'value' + where + ': ' if where else ''}{wrong.detail}"
    )


def _without_conn(annotation: Any) -> Any:
    """What is returned beside the conn; nothing is known of a handler that returns just that."""
    if is_conn(annotation):
        return inspect.Parameter.empty
    if is_union(annotation):
        members = typing.get_args(annotation)
        rest = [member for member in members if not is_conn(member)]
        if len(rest) < len(members):
            if not rest:
                return inspect.Parameter.empty
            return typing.Union[tuple(rest)]  # noqa: UP007 - made of a tuple
    return annotation
