"""What a client accepts (RFC 9110 section 12), and how an answer says that it depends on it."""

from collections.abc import Sequence
from typing import Any

from plugpy.conn.media_type import elements, params


def accepted_encodings(values: Sequence[str]) -> dict[str, float]:
    """Coding -> weight of an accept-encoding header, 0.0 for what is refused.

    >>> accepted_encodings(["gzip;q=0, br"])
    {'gzip': 0.0, 'br': 1.0}
    """
    found: dict[str, float] = {}
    for element in elements(",".join(values)):
        name, _, rest = element.partition(";")
        try:
            weight = float(params(rest).get("q", "1")) if rest else 1.0
        except ValueError:
            weight = 0.0
        found[name.strip().lower()] = weight if 0.0 <= weight <= 1.0 else 0.0
    return found


def vary_by(conn: Any, name: str) -> None:
    """Add `name`, lower case, to the response's vary header, unless it is there."""

    def add(value: str) -> str:
        names = [one.lower() for one in elements(value)]
        return value if name in names or "*" in names else f"{value}, {name}"

    conn.update_resp_header("vary", name, add)
