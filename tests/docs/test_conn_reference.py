"""docs/reference/conn.md names every field and function of a Conn, and no others."""

import re
from pathlib import Path

from plugpy.conn import Conn
from plugpy.conn import errors as conn_errors

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "conn.md"

INSIDE = {"adapter", "head", "route_path"}
"""Public to the rooms of this project, not to applications."""


def named() -> set[str]:
    """What the first column of the tables names."""
    rows = re.findall(r"^\| (`.+?`) \|", PAGE.read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(?:await |async for .+ in )?(\w+)", row)}


def test_every_field_and_function_has_a_line_and_no_line_is_invented() -> None:
    public = {name for name in dir(Conn) if not name.startswith("_")} - INSIDE
    errors = {
        name
        for name, value in vars(conn_errors).items()
        if isinstance(value, type) and issubclass(value, conn_errors.ConnError)
    }
    assert sorted((public | errors) - named()) == []
    assert sorted(named() - public - errors - {"state"} - STATES) == []


STATES = {
    "unset",
    "set",
    "set_file",
    "set_chunked",
    "set_upgrade",
    "sent",
    "file",
    "chunked",
    "upgraded",
}


def test_the_statuses_of_the_errors_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", PAGE.read_text(), re.MULTILINE)
    assert rows
    for name, status in rows:
        assert getattr(conn_errors, name).status == int(status), name
