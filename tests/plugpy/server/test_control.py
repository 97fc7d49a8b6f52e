"""The control socket's tables, and what its protocol takes. Real servers: tests/plugpy/cli."""

import os
from pathlib import Path

import pytest

from plugpy.server.control import COMMANDS, ControlError
from plugpy.server.control.commands import checked
from plugpy.server.control.errors import CODES
from plugpy.server.control.lines import decode
from plugpy.server.control.place import check_folder
from plugpy.server.control.reference import render

ROOT = Path(__file__).parents[3]


def test_the_page_is_made_of_the_tables() -> None:
    page = (ROOT / "docs" / "reference" / "control.md").read_text()
    assert page == render(), (
        "run python -m plugpy.server.control.reference > docs/reference/control.md"
    )


def test_defaults_are_filled_in() -> None:
    command, values = checked("connections", {"limit": 5})
    assert command is COMMANDS["connections"]
    assert values == {
        "state": None, "peer": None, "min-seconds": None, "sort": "seconds", "limit": 5
    }  # fmt: skip
    assert checked("set-max-connections", {"number": "infinity"})[1]["number"] == "infinity"
    assert checked("set-acceptors", {"number": "7"})[1]["number"] == 7


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("nothing", {}),
        (None, {}),
        (["status"], {}),
        ("status", []),
        ("status", "x"),
        ("status", {"limit": 1}),
        ("kill", {}),
        ("kill", {"connection": ""}),
        ("kill", {"connection": 5}),
        ("kill", {"connection": "x" * 201}),
        ("connections", {"limit": 0}),
        ("connections", {"limit": 10_001}),
        ("connections", {"limit": True}),
        ("connections", {"limit": 1.5}),
        ("connections", {"sort": "password"}),
        ("connections", {"min-seconds": -1}),
        ("connections", {"min-seconds": float("nan")}),
        ("set-acceptors", {"number": float("inf")}),
        ("set-acceptors", {"number": 2.9}),
        ("set-acceptors", {"number": 0}),
        ("set-acceptors", {"number": {}}),
        ("tree", {"connections": 1}),
    ],
)
def test_wrong_commands_are_refused(name: object, arguments: object) -> None:
    with pytest.raises(ControlError) as caught:
        checked(name, arguments)
    assert caught.value.code == "usage"


@pytest.mark.parametrize("line", [b"", b"x", b"[]", b"1", b"null", b"\xff", b"[" * 60_000])
def test_lines_that_are_no_requests(line: bytes) -> None:
    with pytest.raises(ControlError) as caught:
        decode(line)
    assert caught.value.code == "usage"


def test_a_request() -> None:
    assert decode(b'{"id": 1, "command": "status"}') == (1, "status", None)


def test_codes_are_those_of_the_table() -> None:
    assert ControlError("usage", "x").as_answer() == {"error": {"code": "usage", "message": "x"}}
    assert set(CODES) == {"usage", "refused", "not_found", "blocked", "failed"}


@pytest.mark.parametrize(("mode", "trusted"), [(0o700, True), (0o750, False), (0o777, False)])
def test_a_folder_is_trusted_when_nobody_else_may_enter(
    tmp_path: Path, mode: int, trusted: bool
) -> None:
    os.chmod(tmp_path, mode)
    assert (check_folder(str(tmp_path)) is None) is trusted


def test_a_link_or_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    assert check_folder(str(tmp_path / "link")) == "it is no folder"
    assert check_folder(str(tmp_path / "file")) == "it is no folder"
