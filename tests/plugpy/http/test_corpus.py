"""Every message of corpus/, on both parsers: whole, byte by byte, and cut in two at every place.

A file holds one message as text: CRLF is written \\r\\n, other bytes as in a Python literal, and
the file's own line ends count for nothing. corpus/verdicts.toml says what must come of each.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from plugpy.http import VERDICTS

CORPUS = Path(__file__).parent / "corpus"
EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((CORPUS / "verdicts.toml").read_text())


def unescape(text: str) -> bytes:
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def message(name: str) -> bytes:
    return unescape((CORPUS / f"{name}.http").read_text().replace("\n", ""))


def test_every_file_has_an_expectation():
    assert {path.stem for path in CORPUS.glob("*.http")} == set(EXPECTED)


def test_every_verdict_on_a_head_or_a_chunk_is_in_the_corpus():
    elsewhere = {
        name for name, (status, _) in VERDICTS.items() if status in (408, 413, 414, 431, 503)
    }
    elsewhere |= {"parser", "plain_on_tls_port"}
    assert {case["verdict"] for case in EXPECTED.values() if "verdict" in case} == (
        VERDICTS.keys() - elsewhere
    )


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("name", EXPECTED)
async def test_message(name, parser, judge):
    raw = message(name)
    served = [unescape(text) for text in EXPECTED[name].get("serves", [])]
    verdict = EXPECTED[name].get("verdict")
    wanted = (served, None if verdict is None else VERDICTS[verdict])
    assert await judge([raw], parser) == wanted
    assert await judge([raw[at : at + 1] for at in range(len(raw))], parser) == wanted
    for at in range(1, len(raw)):
        assert await judge([raw[:at], raw[at:]], parser) == wanted, f"cut at {at}"
