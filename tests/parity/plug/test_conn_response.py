"""The cases of Plug's test/plug/conn_test.exs on sending: bodies, files, chunks, upgrades."""

import os
from pathlib import Path

import pytest

from plugpy.conn import AlreadySentError, Conn
from plugpy.testing import conn

HERE = Path(__file__)


def put_body_in_header(c: Conn) -> Conn:
    return c.put_resp_header("x-body", c.resp_body or "none")


def test_test_adapter_stores_body_in_process_before_sending() -> None:
    """Each conn has an adapter of its own, so what was sent can't be mixed up."""
    one = conn("GET", "/").send_resp(200, "one")
    two = conn("GET", "/").send_resp(404, "two")
    assert (two.adapter.sent_status, two.adapter.sent_body) == (404, b"two")
    assert (one.adapter.sent_status, one.adapter.sent_body) == (200, b"one")


def test_twice_sending_a_response() -> None:
    """There is one Conn, not a copy for each step, so the second call is what raises."""
    c = conn("GET", "/").send_resp(204, "")
    with pytest.raises(AlreadySentError):
        c.send_resp(200, "two")
    assert c.adapter.sent_status == 204


def test_resp() -> None:
    c = conn("GET", "/")
    assert c.state == "unset"
    c.resp(200, "one")
    assert (c.state, c.status, c.resp_body) == ("set", 200, "one")
    c.resp("not_found", "two")
    assert (c.state, c.status, c.resp_body) == ("set", 404, "two")
    assert c.adapter.sent_status is None


def test_resp_raises_when_connection_was_already_sent() -> None:
    c = conn("HEAD", "/").send_resp(200, "one")
    with pytest.raises(AlreadySentError):
        c.resp(200, "two")


def test_resp_raises_when_body_is_nil() -> None:
    with pytest.raises(ValueError, match="None"):
        conn("GET", "/").resp(200, None)  # type: ignore[arg-type]


def test_send_resp() -> None:
    c = conn("GET", "/")
    assert (c.state, c.resp_body) == ("unset", None)
    c.send_resp(200, "one")
    assert (c.state, c.status, c.resp_body) == ("sent", 200, "one")
    assert c.adapter.sent_body == b"one"


def test_send_resp_sends_owner_a_message() -> None:
    """Our message is a property."""
    c = conn("GET", "/")
    assert not c.resp(200, "one").sent
    assert c.send_resp().sent


def test_send_resp_does_not_send_on_head() -> None:
    c = conn("HEAD", "/").send_resp(200, "one")
    assert c.adapter.sent_status == 200
    assert c.adapter.sent_body == b""


def test_send_resp_raises_when_connection_was_already_sent() -> None:
    c = conn("HEAD", "/").send_resp(200, "one")
    with pytest.raises(AlreadySentError):
        c.send_resp(200, "two")


def test_send_resp_allows_for_iolist_in_the_resp_body() -> None:
    c = conn("GET", "/").send_resp(200, ["this ", ["is", b" nested"]])
    assert c.adapter.sent_body == b"this is nested"


def test_send_resp_runs_before_send_callbacks() -> None:
    c = conn("GET", "/").register_before_send(put_body_in_header)
    c.register_before_send(lambda c: c.put_resp_header("x-body", "first"))
    c.send_resp(200, "one")
    assert c.get_resp_header("x-body") == ["one"]
    assert ("x-body", "one") in c.adapter.sent_headers


def test_send_resp_uses_the_before_send_status_and_body() -> None:
    c = conn("GET", "/").register_before_send(lambda c: c.resp(201, "new"))
    c.send_resp(204, "")
    assert (c.status, c.resp_body) == (201, "new")
    assert (c.adapter.sent_status, c.adapter.sent_body) == (201, b"new")


def test_send_resp_uses_the_before_send_cookies() -> None:
    c = conn("GET", "/").register_before_send(lambda c: c.put_resp_cookie("a", "one"))
    c.send_resp(200, "")
    assert c.get_resp_cookies()["a"]["value"] == "one"
    assert ("set-cookie", "a=one; path=/; HttpOnly") in c.adapter.sent_headers


def test_send_resp_raises_if_the_connection_was_unset() -> None:
    with pytest.raises(ValueError, match="not set"):
        conn("GET", "/").send_resp()


def test_send_resp_raises_if_the_connection_was_already_sent() -> None:
    c = conn("GET", "/").send_resp(200, "one")
    with pytest.raises(AlreadySentError):
        c.send_resp()


def test_resp_and_send_resp() -> None:
    c = conn("GET", "/").resp(200, "one")
    c.send_resp()
    assert (c.status, c.resp_body, c.adapter.sent_body) == (200, "one", b"one")


# files -----------------------------------------------------------------------------------------


def test_send_file() -> None:
    c = conn("GET", "/").send_file(200, HERE)
    assert (c.status, c.state) == (200, "file")
    assert c.adapter.sent_body == HERE.read_bytes()


def test_send_file_raises_on_null_byte() -> None:
    with pytest.raises(ValueError, match="NUL"):
        conn("GET", "/").send_file(200, "a.md\0.html")


def test_send_file_sends_self_a_message() -> None:
    c = conn("GET", "/")
    assert not c.sent
    assert c.send_file(200, HERE).sent


def test_send_file_does_not_send_on_head() -> None:
    assert conn("HEAD", "/").send_file(200, HERE).adapter.sent_body == b""


def test_send_file_raises_when_connection_was_already_sent() -> None:
    c = conn("HEAD", "/").send_file(200, HERE)
    with pytest.raises(AlreadySentError):
        c.send_file(200, HERE)


def test_send_file_runs_before_send_callbacks() -> None:
    c = conn("GET", "/").register_before_send(put_body_in_header).send_file(200, HERE)
    assert c.get_resp_header("x-body") == ["none"]


def test_send_file_limits_on_offset() -> None:
    size = os.path.getsize(HERE)
    c = conn("GET", "/").send_file(206, HERE, size // 3)
    assert (c.status, c.state) == (206, "file")
    assert c.adapter.sent_body == HERE.read_bytes()[size // 3 :]


def test_send_file_limits_on_offset_and_length() -> None:
    c = conn("GET", "/").send_file(206, HERE, 7, 11)
    assert (c.status, c.state) == (206, "file")
    assert c.adapter.sent_body == HERE.read_bytes()[7:18]


# chunks ----------------------------------------------------------------------------------------


async def test_send_chunked() -> None:
    c = conn("GET", "/").send_chunked(200)
    assert (c.status, c.state, c.adapter.sent_body) == (200, "chunked", b"")
    assert await c.chunk("one\n") is c
    assert c.adapter.sent_body == b"one\n"
    await c.chunk(["two", ["\n"]])
    assert c.adapter.sent_body == b"one\ntwo\n"


def test_send_chunked_sends_self_a_message() -> None:
    c = conn("GET", "/")
    assert not c.sent
    assert c.send_chunked(200).sent


async def test_send_chunked_does_not_send_on_head() -> None:
    c = await conn("HEAD", "/").send_chunked(200).chunk("one")
    assert c.adapter.sent_body == b""


def test_send_chunked_raises_when_connection_was_already_sent() -> None:
    c = conn("HEAD", "/").send_chunked(200)
    with pytest.raises(AlreadySentError):
        c.send_chunked(200)


def test_send_chunked_runs_before_send_callbacks() -> None:
    c = conn("GET", "/").register_before_send(put_body_in_header).send_chunked(200)
    assert c.get_resp_header("x-body") == ["none"]


async def test_chunk_raises_if_send_chunked_hasn_t_been_called_yet() -> None:
    with pytest.raises(ValueError, match="send_chunked"):
        await conn("GET", "/").chunk("one")


async def test_does_not_delegate_to_connections_adapter_s_chunk_when_called_with_an_empty_chunk():
    c = conn("GET", "/").send_chunked(200)
    for empty in ("", b"", [], [""], [[]], [["", b""]]):
        assert await c.chunk(empty) is c
    assert c.adapter.chunks == []


# informational responses and upgrades ------------------------------------------------------------

LINK = [("link", "</a.css>; rel=preload; as=style")]


def test_inform_performs_an_informational_request() -> None:
    assert conn("GET", "/").inform(103, LINK).adapter.informs == [(103, LINK)]


@pytest.mark.parametrize("status", [103, "early_hints"])
def test_inform_works_with_an_atom_or_a_status_code(status: int | str) -> None:
    assert conn("GET", "/").inform(status, LINK).adapter.informs == [(103, LINK)]


def test_inform_will_raise_if_the_response_is_sent_before_informing() -> None:
    c = conn("GET", "/").send_chunked(200)
    with pytest.raises(AlreadySentError):
        c.inform("early_hints", LINK)


@pytest.mark.parametrize("status", [200, 99, 101])
def test_inform_will_raise_if_the_status_code_is_not_valid_based_on_rfc8297(status: int) -> None:
    """101 is refused too: it would end HTTP on the connection."""
    c = conn("GET", "/")
    with pytest.raises(ValueError, match=str(status)):
        c.inform(status, LINK)
    assert c.adapter.informs == []


def test_inform_bang_performs_an_informational_request() -> None:
    c = conn("GET", "/").inform_or_raise(103, LINK)
    assert c.adapter.informs == [(103, LINK)]
    c.adapter.supports_inform = False
    with pytest.raises(ValueError, match=r"HTTP/1\.1"):
        c.inform_or_raise(103, LINK)


def test_upgrade_adapter_requests_an_upgrade() -> None:
    c = conn("GET", "/").upgrade_adapter("echo", {"size": 1})
    assert c.adapter.upgrades == [("echo", {"size": 1})]


def test_upgrade_adapter_sets_the_connection_to_upgraded_for_supported_upgrades() -> None:
    assert conn("GET", "/").upgrade_adapter("echo").state == "upgraded"


def test_upgrade_adapter_raises_an_error_on_unsupported_upgrades() -> None:
    c = conn("GET", "/")
    c.adapter.supports_upgrade = False
    with pytest.raises(ValueError, match="'echo' is not supported"):
        c.upgrade_adapter("echo")
    assert not c.sent


def test_a_refused_upgrade_leaves_a_conn_that_can_be_answered() -> None:
    """There is one Conn: what the attempt did to it must not show in the answer."""
    c = conn("GET", "/").put_resp_cookie("a", "one").register_before_send(put_body_in_header)
    c.adapter.supports_upgrade = False
    with pytest.raises(ValueError, match="not supported"):
        c.upgrade_adapter("echo")
    c.send_resp(426, "no")
    names = [name for name, _ in c.adapter.sent_headers]
    assert names.count("set-cookie") == 1
    assert c.get_resp_header("x-body") == ["no"]


@pytest.mark.parametrize("status", [99, 1000, 0, -1, True])
def test_a_status_out_of_range_raises(status: int) -> None:
    """What Plug.Conn.Status.code/1 asks of resp/3, send_resp/3 and put_status/2."""
    c = conn("GET", "/")
    for change in (
        lambda: c.resp(status, ""),
        lambda: c.send_resp(status, ""),
        lambda: c.put_status(status),
        lambda: c.send_chunked(status),
        lambda: c.send_file(status, HERE),
        lambda: c.text("", status),
    ):
        with pytest.raises((ValueError, TypeError)):
            change()
    assert not c.sent


def test_upgrade_adapter_will_raise_if_the_response_is_sent_before_upgrading() -> None:
    c = conn("GET", "/").send_chunked(200)
    with pytest.raises(AlreadySentError):
        c.upgrade_adapter("echo")


def test_upgrade_adapter_runs_before_send_callbacks() -> None:
    """Of Plug 1.20.0."""
    seen: list[tuple[str, int | None]] = []

    def note(c: Conn) -> Conn:
        seen.append((c.state, c.status))
        return c.put_resp_header("x-late", "1")

    c = conn("GET", "/").register_before_send(note).upgrade_adapter("echo")
    assert seen == [("set_upgrade", 101)]
    assert c.get_resp_header("x-late") == ["1"]


# callbacks -------------------------------------------------------------------------------------


def test_register_before_send_raises_when_a_response_has_already_been_sent() -> None:
    c = conn("GET", "/").send_resp(200, "one")
    with pytest.raises(AlreadySentError):
        c.register_before_send(lambda c: c)


def test_a_before_send_callback_must_not_send_nor_change_the_way_of_sending() -> None:
    """What Plug.Conn.register_before_send/2 documents."""
    for wrong in (lambda c: c.send_resp(200, "again"), lambda c: c.send_file(200, HERE)):
        with pytest.raises((ValueError, AlreadySentError)):
            conn("GET", "/").register_before_send(wrong).send_resp(200, "one")
    with pytest.raises(ValueError, match="how it is sent"):
        conn("GET", "/").register_before_send(lambda c: c.resp(200, "x")).send_chunked(200)
