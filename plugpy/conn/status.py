"""HTTP status codes: one table of codes, reason phrases and names (Plug.Conn.Status).

Phrases are those of RFC 9110 section 15 and the IANA registry. A name is the phrase in lower case
with underscores: 404 is "not_found". Where the RFC renamed a status, the older name still works.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from http import HTTPStatus  # an int, so nothing here needs it at run time

REASON_PHRASES: dict[int, str] = {
    100: "Continue",
    101: "Switching Protocols",
    102: "Processing",
    103: "Early Hints",
    200: "OK",
    201: "Created",
    202: "Accepted",
    203: "Non-Authoritative Information",
    204: "No Content",
    205: "Reset Content",
    206: "Partial Content",
    207: "Multi-Status",
    208: "Already Reported",
    226: "IM Used",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    305: "Use Proxy",
    306: "Switch Proxy",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    418: "I'm a teapot",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    423: "Locked",
    424: "Failed Dependency",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    506: "Variant Also Negotiates",
    507: "Insufficient Storage",
    508: "Loop Detected",
    510: "Not Extended",
    511: "Network Authentication Required",
}
"""Code -> reason phrase. Grows by `register`; read it, do not write it."""

ALIASES: dict[str, int] = {
    "request_entity_too_large": 413,
    "payload_too_large": 413,
    "request_uri_too_long": 414,
    "requested_range_not_satisfiable": 416,
    "unprocessable_entity": 422,
}
"""Names that RFC 9110 replaced, still used by Plug and by http.HTTPStatus."""


def _name_of(phrase: str) -> str:
    """The name of a reason phrase: "I'm a teapot" is "im_a_teapot"."""
    letters = phrase.lower().replace("'", "")
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in letters)


_codes = {_name_of(phrase): code for code, phrase in REASON_PHRASES.items()} | ALIASES


def code(status: "int | str | HTTPStatus") -> int:
    """The code of a status given as an int in 100..999, an HTTPStatus, or a name ("not_found").

    Raises ValueError for a number out of range or an unknown name, TypeError for another type.
    Source: Plug.Conn.Status.code/1.
    """
    if isinstance(status, int) and not isinstance(status, bool):
        if 100 <= status <= 999:
            return int(status)
        raise ValueError(f"a status code is a number from 100 to 999, got {int(status)}")
    if isinstance(status, str):
        found = _codes.get(status)
        if found is None:
            raise ValueError(_unknown_name(status))
        return found
    raise TypeError(
        "a status is an int (404), an http.HTTPStatus or a name ('not_found'), "
        f"got {type(status).__name__} {status!r}"
    )


def reason_atom(status_code: int) -> str:
    """The name of a code: 404 is "not_found".

    Raises ValueError for a code without a name. Source: Plug.Conn.Status.reason_atom/1.
    """
    return _name_of(reason_phrase(status_code))


def reason_phrase(status_code: int) -> str:
    """The reason phrase of a code: 404 is "Not Found".

    Raises ValueError for a code that has none. Source: Plug.Conn.Status.reason_phrase/1.
    """
    phrase = REASON_PHRASES.get(status_code)
    if phrase is None:
        raise ValueError(
            f"unknown status code {status_code!r}: name it once at start with "
            f"plugpy.conn.status.register({status_code!r}, 'Its Reason Phrase')"
        )
    return phrase


def register(status_code: int, phrase: str) -> None:
    """Name a status code of your own, or give a known one another phrase.

    Afterwards `code` accepts its name too, and `reason_phrase` and `reason_atom` return the new
    ones; earlier names of the same code keep working. Call it while the program starts.
    Raises ValueError for a code outside 100..999, a phrase that is not printable ASCII (RFC 9112
    section 4), or a name that belongs to another code. Source: the :statuses configuration of Plug.
    """
    number = code(status_code)
    if not (phrase.isascii() and phrase.isprintable() and phrase.strip()):
        raise ValueError(f"a reason phrase is printable ASCII text, got {phrase!r}")
    name = _name_of(phrase)
    owner = _codes.setdefault(name, number)
    if owner != number:
        raise ValueError(
            f"the status name {name!r} already means {owner}, so {number} can't be {phrase!r}"
        )
    REASON_PHRASES[number] = phrase


def _unknown_name(name: str) -> str:
    # Imported here: a message for programmers is not worth start-up time.
    from difflib import get_close_matches

    message = f"unknown status name {name!r}"
    if name.isdigit():
        return f"{message}: give a status code as the number {int(name)}"
    if close := get_close_matches(_name_of(name), _codes, n=1):
        return f"{message}: did you mean {close[0]!r}?"
    return f"{message}: names look like 'not_found', see plugpy.conn.status.REASON_PHRASES"
