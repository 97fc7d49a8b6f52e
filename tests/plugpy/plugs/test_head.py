"""Head (Plug.Head)."""

from __future__ import annotations

from plugpy.plugs import Head
from plugpy.testing import conn


def test_head_becomes_get():
    assert Head()(conn("HEAD", "/")).method == "GET"


def test_other_methods_stay():
    for method in ("GET", "POST", "OPTIONS"):
        assert Head()(conn(method, "/")).method == method


def test_the_server_still_knows_that_it_was_head():
    sent = Head()(conn("HEAD", "/")).send_resp(200, "body")
    assert sent.adapter.sent_body == b""
