"""Media types, header parameters, tokens and lists (the parsers of Plug.Conn.Utils).

What cannot be understood is None: it comes from a client, so it is an answer, not an exception.
"""

import re
from typing import NamedTuple

_SPACE = " \t\r\n"

# Type and subtype as Plug takes them, a subset of RFC 6838 section 4.2.
_MEDIA_TYPE = re.compile(
    r"([A-Za-z0-9-]+|\*(?=/\*))/([A-Za-z0-9.+_-]+|\*)[ \t\r\n]*(?:;(.*)|)", re.DOTALL
)

# RFC 9110 section 5.6.2, but open to characters above 127.
_TOKEN = r'[^()<>@,;:\\"/\[\]?={}|\x00-\x20\x7f]'
_KEY = re.compile(_TOKEN + "+")
_UNQUOTED = re.compile(rf"({_TOKEN}*)(?:[ \t]|\r\n)*")
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"(?:[ \t]|\r\n)*', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class MediaType(NamedTuple):
    """A parsed media type: "text/html; charset=utf-8".

    type, subtype: lower case, "*" for a wildcard. params: lower-case names, values as sent.
    """

    type: str
    subtype: str
    params: dict[str, str]


def media_type(text: str) -> MediaType | None:
    """Parse a media type that may have wildcards, as in an Accept header; None if it is not one.

    Source: Plug.Conn.Utils.media_type/1.

    >>> media_type("Text/*; q=0.5")
    MediaType(type='text', subtype='*', params={'q': '0.5'})
    >>> media_type("*/html") is None
    True
    """
    match = _MEDIA_TYPE.fullmatch(text.strip(_SPACE))
    if match is None:
        return None
    type_, subtype, rest = match.groups()
    return MediaType(type_.lower(), subtype.lower(), params(rest) if rest else {})


def content_type(text: str) -> MediaType | None:
    """Parse a media type without wildcards, as in a Content-Type header; None if it is not one.

    Source: Plug.Conn.Utils.content_type/1.

    >>> content_type("application/json; charset=utf-8")
    MediaType(type='application', subtype='json', params={'charset': 'utf-8'})
    >>> content_type("image/*") is None
    True
    """
    parsed = media_type(text)
    return None if parsed is None or parsed.subtype == "*" else parsed


def params(text: str) -> dict[str, str]:
    """Parse `name=value` pairs parted by ";". Names become lower case.

    What is no pair is left out; of pairs with one name the first counts. A ";" inside a quoted
    value is part of it. Source: Plug.Conn.Utils.params/1.

    >>> params('Name="a;b"; filename=x.png; junk')
    {'name': 'a;b', 'filename': 'x.png'}
    """
    found: dict[str, str] = {}
    for param in text.split(";") if '"' not in text else _split_semicolons(text):
        key, equals, value_text = param.strip(_SPACE).partition("=")
        if equals and _KEY.fullmatch(key):
            value = token(value_text)
            if value is not None:
                found.setdefault(key.lower(), value)
    return found


def token(text: str) -> str | None:
    r"""The value of a token or a quoted string; None if it is neither.

    White space after it is dropped. Source: Plug.Conn.Utils.token/1 (RFC 9110 section 5.6.4).

    >>> token("foo-bar ")
    'foo-bar'
    >>> token(r'"say \"yes\""')
    'say "yes"'
    >>> token("two words") is None
    True
    """
    if not text:
        return None
    if text[0] == '"':
        match = _QUOTED.fullmatch(text)
        return None if match is None else _ESCAPED.sub(r"\1", match[1])
    match = _UNQUOTED.fullmatch(text)
    return None if match is None else match[1]


def elements(text: str) -> list[str]:
    """The elements of a comma-separated header value, empty ones left out.

    Commas inside quoted strings part elements too: it is for headers that have none.
    Source: Plug.Conn.Utils.list/1 (RFC 9110 section 5.6.1).

    >>> elements("gzip, , br ,")
    ['gzip', 'br']
    """
    return [element for part in text.split(",") if (element := part.strip(_SPACE))]


def _split_semicolons(text: str) -> list[str]:
    """Split on the ";" that are outside quoted strings. One pass; an open quote runs to the end."""
    parts = []
    start = position = 0
    quoted = False
    while position < len(text):
        character = text[position]
        if character == '"':
            quoted = not quoted
        elif quoted and character == "\\":
            position += 1
        elif character == ";" and not quoted:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    parts.append(text[start:])
    return parts
