"""Errors of typed handlers, and what the client is told of them."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from plugpy.conn.errors import ConnError
from plugpy.conn.json import dumps
from plugpy.conn.status import reason_phrase

PROBLEM_JSON: Final = "application/problem+json"

MAX_FAULTS: Final = 32
"""Faults that one answer tells of: the client decides how many there are."""

MAX_DETAIL: Final = 200
"""Characters of what is said about a fault."""


class Fault(NamedTuple):
    """One thing that is wrong with a request.

    where: "path", "query", "header", "cookie", "form" or "body". name: of the parameter, "" for the
    body. path: the way from there into the value, keys and indexes. detail: what is wrong.
    """

    where: str
    name: str
    path: tuple[str | int, ...]
    detail: str

    def members(self) -> dict[str, Any]:
        """As an item of "errors" in the answer; "pointer" is a JSON Pointer as a URI fragment
        (RFC 6901 section 6), into the body or into the parameter."""
        detail = self.detail
        if len(detail) > MAX_DETAIL:
            detail = detail[:MAX_DETAIL] + "..."
        found: dict[str, Any] = {"in": self.where}
        if self.name:
            found["name"] = self.name[:MAX_DETAIL]
        if self.path or self.where == "body":
            found["pointer"] = pointer(self.path)
        found["detail"] = detail
        return found


class Problem(ConnError):  # noqa: N818 - the word of RFC 9457
    """An error that is answered as problem+json (RFC 9457).

    status: 400 to 599. detail: for this occurrence. title: default the phrase of the status. type:
    URI of the kind of problem. members: further members, JSON.

        raise Problem(409, "The title is taken.", members={"title": title})

    Raises ValueError for another status, TypeError for members that are no JSON.

    It goes to the router's error handlers first, by its class or its status. A status of 500 and
    above is logged as a crash.
    """

    def __init__(
        self,
        status: int = 400,
        detail: str = "",
        *,
        title: str | None = None,
        type: str = "about:blank",  # noqa: A002 - the name of RFC 9457
        members: "dict[str, Any] | None" = None,
    ) -> None:
        given: object = status
        if not isinstance(given, int) or not 400 <= status <= 599:
            raise ValueError(f"the status of a problem is 400 to 599, got {status!r}")
        self.detail = detail
        self.title = reason_phrase(status) if title is None else title
        self.type = type
        self.members = dict(members or {})
        super().__init__(detail or self.title, status=int(status))
        _ = self.resp_body  # what is no JSON is told where it was raised, not when it is answered

    @property
    def resp_headers(self) -> list[tuple[str, str]]:
        """The headers of the answer."""
        return [("content-type", PROBLEM_JSON)]

    @property
    def resp_body(self) -> bytes:
        """The body of the answer."""
        said: dict[str, Any] = {"type": self.type, "title": self.title, "status": self.status}
        if self.detail:
            said["detail"] = self.detail
        return dumps({**said, **self.members})


class ValidationError(Problem):
    """A request that is not what a typed handler asks for: 422, with `faults`.

    The answer has the member "errors", a list of at most 32 objects: "in", "name", "pointer" and
    "detail", as the faults are; see `Fault`.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        what = "1 value is" if count == 1 else f"{count} values are"
        super().__init__(
            422,
            f"{what} not as asked for.",
            members={"errors": [fault.members() for fault in self.faults[:MAX_FAULTS]]},
        )

    def __str__(self) -> str:
        said = [f"{fault.where} {fault.name}".strip() for fault in self.faults[:MAX_FAULTS]]
        return f"{self.detail[:-1]}: {', '.join(said)}"


class ResponseTypeError(ConnError):
    """A typed handler has answered with something that its return annotation does not say."""


def pointer(path: Iterable[str | int]) -> str:
    """A JSON Pointer as a URI fragment.

    >>> pointer(["a/b", 0])
    '#/a~1b/0'
    """
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "#" + "".join(f"/{part}" for part in parts)
