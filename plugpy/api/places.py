"""Places: where the value of a typed parameter comes from, as written in its annotation."""

from typing import Any, ClassVar


class Place:
    """The base of the markers in `Annotated[type, marker]`.

    name: what it is called in the request; None: as the parameter, in headers with "-" for "_".
    description: for the OpenAPI document, beside that of the type. deprecated: whether the document
    says so. The class alone, `Annotated[int, Query]`, is the marker without options.
    """

    __slots__ = ("deprecated", "description", "name")

    where: ClassVar[str] = ""
    """How OpenAPI and validation errors call it."""

    def __init__(
        self, name: str | None = None, *, description: str = "", deprecated: bool = False
    ) -> None:
        given: object = name
        if given is not None and not (isinstance(given, str) and given):
            raise TypeError(f"the name of a parameter is a str, got {given!r}")
        self.name = name
        self.description = description
        self.deprecated = deprecated

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.name is None else repr(self.name)})"


class Path(Place):
    """A variable of the route's path. Parameters named as one need no marker."""

    __slots__ = ()
    where = "path"


class Query(Place):
    """A parameter of the query string: the last one of its name, or for a list all of them. With a
    model as the type: one parameter for each of its fields."""

    __slots__ = ()
    where = "query"


class Header(Place):
    """A header field of the request: the first one, or for a list all of them."""

    __slots__ = ()
    where = "header"


class Cookie(Place):
    """A cookie as the client has sent it. Signed and encrypted ones: `conn.fetch_cookies`."""

    __slots__ = ()
    where = "cookie"


class Body(Place):
    """The body of the request, JSON. One for each handler."""

    __slots__ = ()
    where = "body"

    def __init__(self, *, description: str = "", deprecated: bool = False) -> None:
        super().__init__(None, description=description, deprecated=deprecated)


class Form(Place):
    """A field of a form, URL-encoded or multipart, or with a model as the type all its fields.
    `Annotated[Upload, Form]` is a file."""

    __slots__ = ()
    where = "form"


def place_of(value: Any) -> Place | None:
    """The marker that a piece of metadata of Annotated is, if it is one."""
    if isinstance(value, Place):
        return value
    if isinstance(value, type) and issubclass(value, Place):
        return value()
    return None
