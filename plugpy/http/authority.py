"""The host and port that a request is for: the grammar of Host and of an absolute target
(RFC 9112 section 3.2, RFC 3986 section 3.2)."""

import re
from ipaddress import AddressValueError, IPv6Address

from plugpy.http.errors import HttpError

_AUTHORITY = re.compile(
    # A registered name or an IPv4 address, or an IPv6 literal; then a port. Not empty: RFC 9110
    # section 4.2.1 has us reject http URIs without a host. No userinfo: section 4.2.4.
    r"(?:(?:[a-z0-9\-._~!$&'()*+;=]|%[0-9a-f]{2})+|\[([0-9a-f:.]+)\])(?::([0-9]*))?",
    re.IGNORECASE,
)

known_hosts: set[str] = set()
"""Values of Host that were found valid. PERF: a look-up costs a tenth of the expression."""


def is_authority(text: str) -> bool:
    """Whether `text` is host [":" port], with a host that is not empty and a port up to 65535."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return False
    literal, port = match.groups()
    if literal is not None:
        try:
            IPv6Address(literal)
        except AddressValueError:
            return False
    return not port or (len(port.lstrip("0")) < 6 and int(port) <= 65535)


def check_host(value: str) -> None:
    """Raise HttpError where the value of a Host header is not valid.

    value: as sent, in lower case, with the white space around it.
    """
    if value not in known_hosts:
        if not is_authority(value.strip(" \t")):
            raise HttpError("host")
        if len(known_hosts) >= 1000:
            known_hosts.clear()
        known_hosts.add(value)
