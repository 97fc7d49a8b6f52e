"""Cookies as text: the Cookie header decoded, the Set-Cookie value encoded (Plug.Conn.Cookies).

Values are neither quoted nor percent-encoded, as in Plug: what an application puts is what goes
out, and what could end the cookie early is refused.
"""

import re
import time
from collections.abc import Mapping
from typing import Any

from plugpy.conn.errors import InvalidCookieError, InvalidHeaderError

MAX_COOKIES = 512
"""Cookies of one request. Browsers keep 180 or fewer for a site (RFC 6265 section 6.1 asks 50)."""

OPTIONS = frozenset(
    {
        "domain",
        "extra",
        "http_only",
        "max_age",
        "path",
        "same_site",
        "secure",
        "universal_time",
        "value",
    }
)
"""What `encode` takes."""

SAME_SITE = {"lax": "Lax", "strict": "Strict", "none": "None"}

_KEY_SPACE = re.compile(r"[ \t\r\n\v\f]")
_VALUE_SPACE = re.compile(r"[\t\r\n\v\f]")
# RFC 6265 section 4.1.1 and, for controls, RFC 6265bis section 5.6: browsers drop the cookie.
_NAME_BREAKS = re.compile(r"[\x00-\x20\x7f;=]")
_TEXT_BREAKS = re.compile(r"[\x00-\x1f\x7f;]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LAST_SECOND = 253_402_300_799
"""31 Dec 9999 23:59:59: the date format has four digits for the year."""


def decode(header: str, *, max_cookies: int = MAX_COOKIES) -> dict[str, str]:
    """Decode a Cookie header.

    Pairs without "=", without a name, with white space in the name, or with a control white space
    in the value are dropped. Of several cookies with one name the first counts: browsers send the
    one with the longest path first (RFC 6265 section 5.4). Nothing is unquoted.

    Raises InvalidCookieError (400) for more than `max_cookies` pairs.
    Source: Plug.Conn.Cookies.decode/1.

    >>> decode("key1=value1; key2=value2")
    {'key1': 'value1', 'key2': 'value2'}
    """
    if header.count(";") >= max_cookies:
        raise InvalidCookieError(
            f"the request has {header.count(';') + 1} cookies, the maximum is {max_cookies}"
        )
    cookies: dict[str, str] = {}
    for pair in header.split(";"):
        key, equals, value = pair.lstrip(" \t").partition("=")
        if not equals or not key or key in cookies:
            continue
        if not _KEY_SPACE.search(key) and not _VALUE_SPACE.search(value):
            cookies[key] = value.rstrip(" ")
    return cookies


def encode(name: str, options: Mapping[str, Any] | None = None) -> str:
    """The value of a Set-Cookie header.

    options: value (str, ""), path (str, "/"), domain (str), max_age (int seconds, also sends
    expires; 0 or less is a date in the past), secure (False), http_only (True), same_site ("Lax",
    "Strict" or "None"), extra (str, attributes appended as they are, such as "Partitioned"; never
    put input of users there), universal_time (float seconds since 1970, the time that max_age
    counts from, now). An option that is None is as if it were not given.

    Raises TypeError for an unknown option or a value of the wrong type, ValueError for an unknown
    same_site, InvalidHeaderError for a control character or ";" in a name, value or attribute
    (CVE-2018-1000883, CVE-2026-56813) and for text outside Latin-1.
    Source: Plug.Conn.Cookies.encode/2.

    >>> encode("key1", {"value": "value1", "secure": True, "http_only": False})
    'key1=value1; path=/; secure'
    """
    given = {} if options is None else {k: v for k, v in options.items() if v is not None}
    if not given.keys() <= OPTIONS:
        raise TypeError(_unknown_options(given.keys() - OPTIONS))
    if not name or _NAME_BREAKS.search(name):
        raise InvalidHeaderError(
            f"the cookie name {name!r} must have a character, and none of: "
            "space, ';', '=', control characters"
        )
    path = _text(name, "path", given.get("path", "/"))
    parts = [f"{name}={_text(name, 'value', given.get('value', ''))}; path={path}"]
    if "domain" in given:
        parts.append(f"domain={_text(name, 'domain', given['domain'])}")
    if "max_age" in given:
        parts.append(_max_age(name, given["max_age"], given.get("universal_time")))
    if given.get("secure", False):
        parts.append("secure")
    if given.get("http_only", True):
        parts.append("HttpOnly")
    if "same_site" in given:
        parts.append(f"SameSite={_same_site(given['same_site'])}")
    if "extra" in given:
        # Attributes in their written form, so ";" may separate them.
        parts.append(_text(name, "extra", given["extra"], _CONTROLS))
    cookie = "; ".join(parts)
    if not cookie.isascii():
        try:
            cookie.encode("latin-1")
        except UnicodeEncodeError:
            raise InvalidHeaderError(
                f"the cookie {name!r} has characters outside Latin-1: percent-encode them"
            ) from None
    return cookie


def _text(name: str, option: str, value: Any, breaks: re.Pattern[str] = _TEXT_BREAKS) -> str:
    if not isinstance(value, str):
        raise TypeError(
            f"the {option} of the cookie {name!r} must be a str, got {type(value).__name__}"
        )
    # The text itself stays out of the message: it may be a session.
    if found := breaks.search(value):
        raise InvalidHeaderError(
            f"the {option} of the cookie {name!r} has the character {found.group()!r}, "
            "which would end it: percent-encode it or leave it out"
        )
    return value


def _max_age(name: str, max_age: Any, universal_time: float | None) -> str:
    if not isinstance(max_age, int) or isinstance(max_age, bool):
        raise TypeError(
            f"the max_age of the cookie {name!r} is a number of seconds (int), "
            f"got {type(max_age).__name__}"
        )
    if universal_time is None:
        # A cookie that is to go gets a date that is past on every clock (Plug deletes by 1970 too).
        moment = time.time() + max_age if max_age > 0 else 0
    else:
        moment = universal_time + max_age
    return f"expires={http_date(moment)}; max-age={max_age}"


def _same_site(value: Any) -> str:
    known = SAME_SITE.get(value.lower()) if isinstance(value, str) else None
    if known is None:
        raise ValueError(f"same_site is one of {', '.join(SAME_SITE.values())}, got {value!r}")
    return known


def http_date(timestamp: float) -> str:
    """Seconds since 1970 as an IMF-fixdate: "Sat, 07 Jan 2012 15:33:10 GMT" (RFC 9110 5.6.7).

    Dates before 1970 and after 9999 become those limits.
    """
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(
        min(max(timestamp, 0), _LAST_SECOND)
    )
    return (
        f"{_WEEKDAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} "
        f"{hour:02}:{minute:02}:{second:02} GMT"
    )


def _unknown_options(unknown: set[str]) -> str:
    # Imported here: a message for programmers is not worth start-up time.
    from difflib import get_close_matches

    name = min(unknown)
    close = get_close_matches(name, OPTIONS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(OPTIONS))}"
    return f"a cookie has no option {name!r}: {hint}"
