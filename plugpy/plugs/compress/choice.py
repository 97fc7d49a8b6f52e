"""Which answers are worth compressing, and which coding the client gets."""

from collections.abc import Collection, Sequence
from typing import Final

from plugpy.conn.accept import accepted_encodings
from plugpy.conn.fields import ConnFields
from plugpy.conn.media_type import elements

COMPRESSIBLE: Final = (
    "text/*",
    "*+json",
    "*+text",
    "*+xml",
    "application/eot",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/jsonl",
    "application/rtf",
    "application/toml",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-tar",
    "application/xml",
    "application/xml-dtd",
    "application/yaml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
)
"""Content-types that become smaller. What is compressed by nature (JPEG, WOFF2, ZIP) is not here.
"""

_KINDS: Final = {"text": "text/plain", "json": "application/json"}

_BODILESS: Final = frozenset({204, 205, 206, 304})

_TELLTALE: Final = frozenset(
    {"content-digest", "content-encoding", "content-md5", "content-range", "digest", "repr-digest"}
)
"""Headers of bodies that must stay as they are: encoded already, a part, or with a checksum."""


class Types:
    """Content-types, with "text/*" and "*+json" for many. Raises ValueError for what is none."""

    __slots__ = ("_exact", "_groups", "_known", "_suffixes")

    def __init__(self, types: Collection[str]) -> None:
        if isinstance(types, str):
            raise ValueError(f"types is a list of content-types, not one: {types!r}")
        self._exact = set()
        self._groups = set()
        self._suffixes = set()
        for one in types:
            name = one.lower()
            if name.startswith("*+") and len(name) > 2:
                self._suffixes.add(name[2:])
            elif name.endswith("/*") and name.count("/") == 1 and name != "*/*":
                self._groups.add(name[:-2])
            elif name.count("/") == 1 and "*" not in name and ";" not in name:
                self._exact.add(name)
            else:
                raise ValueError(
                    f"a content-type is 'text/html', 'text/*' or '*+json', got {one!r}"
                )

    def __contains__(self, content_type: object) -> bool:
        name = str(content_type).partition(";")[0].strip().lower()
        group, _, subtype = name.partition("/")
        return (
            name in self._exact
            or group in self._groups
            or ("+" in subtype and subtype.rpartition("+")[2] in self._suffixes)
        )


def is_eligible(conn: ConnFields, size: int | None, kind: str, types: Types, min_size: int) -> bool:
    """Whether an answer may be compressed and is worth it, whatever its client accepts.

    size: bytes of the body, None for a stream. kind: as in plugpy.conn.adapter.
    """
    if conn.status in _BODILESS or conn.private.get("compress") is False:
        return False
    content_type = _KINDS.get(kind, "")
    for name, value in conn.resp_headers:
        if name in _TELLTALE:
            return False
        if name == "content-type":
            content_type = value
        elif name == "cache-control" and "no-transform" in value.lower():
            return False
        elif name == "content-length" and size is None and value.isdecimal():
            size = int(value)
    return (size is None or size >= min_size) and content_type in types


def choose(values: Sequence[str], codings: Sequence[str]) -> str | None:
    """The coding for a client by its accept-encoding headers; None: as it is (RFC 9110 12.5.3).

    The highest weight wins, among equal ones the first of `codings`.

    >>> choose(["gzip, br;q=0.5"], ["br", "gzip"])
    'gzip'
    >>> choose(["*"], ["br", "gzip"]), choose(["identity, gzip;q=0.5"], ["gzip"])
    ('br', None)
    """
    if not values:
        return None
    accepted = accepted_encodings(values)
    rest = accepted.get("*", 0.0)
    # To be left alone is always fine, and preferred only by who says so.
    best, found = accepted.get("identity", 0.0), None
    for coding in codings:
        weight = accepted.get(coding)
        if weight is None:
            weight = accepted.get("x-gzip", rest) if coding == "gzip" else rest
        if weight > best or (weight == best > 0.0 and found is None):
            best, found = weight, coding
    return found


def weakened(etag: str) -> str:
    """The entity tag of a compressed body: bytes differ, meaning doesn't (RFC 9110 8.8.1).

    >>> weakened('"1"'), weakened('W/"1"')
    ('W/"1"', 'W/"1"')
    """
    return etag if etag.startswith("W/") else f"W/{etag}"


def knows_weak(conn: ConnFields, etag: str) -> bool:
    """Whether the client's copy is one whose entity tag was weakened here."""
    return any(
        weakened(etag) in elements(value) for value in conn.head.get("if-none-match")
    ) and not etag.startswith("W/")
