"""docs/reference/limits.md says what the code does."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from plugpy.http import VERDICTS, HttpOptions
from plugpy.http.body import TURN as CHUNKS
from plugpy.http.head import MEMO_LARGEST
from plugpy.http.http1 import PIECES, SMALL_PIECE, TURN
from plugpy.http.runtime import LARGE_READ, LINE_TIME, READS, REST

PAGE = (Path(__file__).parents[3] / "docs/reference/limits.md").read_text()

NO_LIMITS = {"application", "http", "access_log", "secret_key_base", "debug", "upgrades"}


def rows(title: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = PAGE.split(f"## {title}\n", 1)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_limit_is_listed_with_its_default():
    listed = {name: default for title in ("Sizes", "Times") for name, default, *_ in rows(title)}
    defaults = {
        field.name: str(field.default)
        for field in dataclasses.fields(HttpOptions)
        if field.init and field.name not in NO_LIMITS
    }
    assert listed == defaults


def test_every_verdict_is_listed():
    listed = {name: (int(status), reason) for name, status, reason in rows("Verdicts")}
    assert listed == VERDICTS


def test_the_statuses_of_limits_are_those_of_verdicts():
    statuses = {str(status) for status, _ in VERDICTS.values()}
    for title in ("Sizes", "Times"):
        for name, *_, beyond in rows(title):
            assert set(re.findall(r"\b[45]\d\d\b", beyond)) <= statuses, name


def test_the_fixed_bounds():
    assert f"{TURN} pipelined requests" in PAGE
    assert f"{CHUNKS} chunks" in PAGE
    assert f"{LARGE_READ // 1024} KB of a read" in PAGE
    assert f"{1000 * LINE_TIME:g} ms of each turn" in PAGE
    assert f"{READS} of all those in a turn" in PAGE
    assert f"{PIECES} pieces of less than {SMALL_PIECE} bytes rests for {1000 * REST:g} ms" in PAGE
    assert f"none above {MEMO_LARGEST} bytes" in PAGE
