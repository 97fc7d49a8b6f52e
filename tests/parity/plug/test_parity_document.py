"""docs/parity.md tells the truth: its rows have tests, its totals are those of its rows."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs" / "parity.md"

FILES = {
    "Plug.Conn": [
        "test_conn_fields",
        "test_conn_response",
        "test_conn_headers",
        "test_conn_request",
        "test_conn_cookies",
        "test_conn_session",
        "test_conn_parts",
    ],
    "Plug.Conn.Adapter": ["test_conn_adapter"],
    "Plug.Adapters.Test.Conn": ["test_adapter"],
    "Plug.Conn.Query": ["test_query"],
    "Plug.Conn.Cookies": ["test_cookies"],
    "Plug.Conn.Status": ["test_status"],
    "Plug.Conn.WrapperError": [],
    "Plug.Conn.Utils": ["test_utils"],
    "Plug.BasicAuth": ["test_basic_auth"],
    "Plug.CSRFProtection": ["test_csrf_protection"],
    "Plug.Debugger": ["test_debugger"],
    "Plug.ErrorHandler": ["test_error_handler"],
    "Plug.HTML": [],
    "Plug.Head": ["test_head"],
    "Plug.Logger": ["test_logger"],
    "Plug.MethodOverride": ["test_method_override"],
    "Plug.Parsers": ["test_parsers"],
    "Plug.Parsers.JSON": ["test_parsers_json"],
    "Plug.RequestId": ["test_request_id"],
    "Plug.RewriteOn": ["test_rewrite_on"],
    "Plug.SSL": ["test_ssl"],
    "Plug.Session": ["test_session"],
    "Plug.Session.COOKIE": ["test_session_cookie"],
    "Plug.Session.ETS": ["test_session_memory"],
    "Plug.Static": ["test_static"],
    "Plug.Telemetry": ["test_telemetry"],
    "Plug.Upload": ["test_upload"],
}

VERDICTS = ("met", "differs on purpose", "not applicable", "not yet")


def section(heading: str) -> str:
    found = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)",
        DOCUMENT.read_text(),
        re.DOTALL | re.MULTILINE,
    )
    assert found is not None, f"docs/parity.md has no section {heading}"
    return found[1]


def rows(heading: str) -> list[tuple[str, str, str]]:
    """The case, the verdict and the note of every row of a section."""
    found = re.findall(r"^\| (.+?) \| (\w[\w ]+) \| (.*?) ?\|$", section(heading), re.MULTILINE)
    return [row for row in found if row[0] not in ("case", "function")]


def function_name(case: str) -> str:
    """The rule of the document."""
    name = re.sub(r"/\d", "", case.lower()).replace("!", " bang ")
    return "test_" + re.sub(r"[^a-z0-9]+", "_", name).strip("_")


def functions(heading: str) -> set[str]:
    names = set()
    for file in FILES[heading]:
        for node in ast.parse((HERE / f"{file}.py").read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
    return names


@pytest.mark.parametrize("heading", FILES)
def test_every_case_that_is_met_or_differs_has_its_test(heading: str) -> None:
    names = functions(heading)
    missing = []
    for case, verdict, note in rows(heading):
        expected = set(re.findall(r"`(test_\w+)`", note)) or {function_name(case)}
        if verdict in ("met", "differs on purpose") and not expected & names:
            missing.append((case, expected))
    assert missing == []


@pytest.mark.parametrize("heading", FILES)
def test_every_case_that_is_not_met_says_why(heading: str) -> None:
    unexplained = [case for case, verdict, note in rows(heading) if verdict != "met" and not note]
    assert unexplained == []


@pytest.mark.parametrize("heading", FILES)
def test_the_totals_are_those_of_the_rows(heading: str) -> None:
    verdicts = [verdict for _, verdict, _ in rows(heading)]
    counts = [verdicts.count(verdict) for verdict in VERDICTS]
    assert sum(counts) == len(verdicts) > 0
    total = re.search(
        rf"^\| {re.escape(heading)}(?: \(functions\))? \|" + r" (\d+) \|" * 5 + "$",
        DOCUMENT.read_text(),
        re.MULTILINE,
    )
    assert total is not None
    assert [int(number) for number in total.groups()] == [len(verdicts), *counts]


def test_the_sum_is_that_of_all_parts() -> None:
    table = numbers_of_the_table()
    sums = [sum(column) for column in zip(*table.values(), strict=True)]
    total = re.search(r"^\| all \|" + r" (\d+) \|" * 5 + "$", DOCUMENT.read_text(), re.MULTILINE)
    assert total is not None
    assert [int(number) for number in total.groups()] == sums
    assert sum(sums[1:]) == sums[0]


def numbers_of_the_table() -> dict[str, list[int]]:
    """Part -> its cases, and how many of them are met, differ, do not apply, are not there yet."""
    found = re.findall(r"^\| (Plug\.[^|]+) \|" + r" (\d+) \|" * 5 + "$", DOCUMENT.read_text(), re.M)
    assert found
    return {part: [int(number) for number in numbers] for part, *numbers in found}
