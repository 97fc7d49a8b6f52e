"""TLS: hands are shaken in the connection, never in the acceptor; what is agreed on, and what is
refused."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess

import pytest

import acceptors
from acceptors import otp
from acceptors.client_hello import HANDSHAKE_FAILURE, ClientHello, bytes_needed, parse_hello
from acceptors.tls import CIPHERS, Certificates, TlsOptions

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")


class Plain(acceptors.Connection):
    """Sends back what it gets, and says `plain` to plain text."""

    __slots__ = ()

    @classmethod
    def plain_text_refusal(cls, options):
        return b"plain"

    def data_received(self, data):
        self.transport.write(data)


@pytest.fixture(scope="session")
def pair(write_certificate):
    return write_certificate("localhost", "127.0.0.1")


@pytest.fixture
def certificates(pair):
    return Certificates(TlsOptions(certificates=[pair], alpn=["http/1.1"]))


@pytest.fixture(params=["context", "certificates"])
def tls(request, pair):
    """Both kinds of the option `ssl`."""
    if request.param == "certificates":
        return Certificates(TlsOptions(certificates=[pair]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return context


@pytest.fixture
def dial(connect, client_context):
    """`await dial(ref)`: a client that shakes hands; further arguments are its context's."""

    async def start(ref, server_hostname="localhost", context=None, **attributes):
        context = context or client_context(**attributes)
        return await connect(ref, ssl=context, server_hostname=server_hostname)

    return start


async def test_echo_while_another_does_not_shake_hands(listen, connect, dial, wait_for, tls):
    ref = await listen(ssl=tls, num_acceptors=1)
    silent = await connect(ref)  # its handshake never comes
    await wait_for(ref, "==", 1)
    client = await dial(ref)
    assert await client.echo(b"x" * 100_000)
    assert acceptors.info(ref)["transport"] == "tls"
    assert acceptors.info(ref)["active_connections"] == 2
    await client.close()
    await silent.close()


@pytest.mark.parametrize("begin", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"])
async def test_handshake_timeout(listen, connect, wait_for, clock, tls, caplog, begin):
    ref = await listen(ssl=tls, handshake_timeout=3.0)
    slow = await connect(ref)
    slow.send(begin)
    await wait_for(ref, "==", 1)
    await clock.advance(2.9)
    assert acceptors.info(ref)["active_connections"] == 1
    await clock.advance(0.2)
    assert await slow.receive() in (b"", b"\x15\x03\x03\x00\x02\x02\x16")
    await wait_for(ref, "==", 0)
    assert not [r for r in caplog.records if r.name == "acceptors"]


async def test_plain_text_is_told_so(listen, connect, dial, wait_for, tls, caplog):
    ref = await listen(Plain, ssl=tls, num_acceptors=1)
    client = await connect(ref)
    client.send(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 100_000)
    assert await client.receive() == b"plain"
    await client.close()
    await wait_for(ref, "==", 0)
    assert not [r for r in caplog.records if r.name == "acceptors"]
    good = await dial(ref)
    assert await good.echo(b"x")
    await good.close()


async def test_a_refused_client_that_stays_is_closed_in_time(listen, connect, wait_for, clock, tls):
    ref = await listen(Plain, ssl=tls)
    client = await connect(ref)
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    assert await client.receive() == b"plain"
    assert acceptors.info(ref)["active_connections"] == 1
    await clock.advance(1.1)
    await wait_for(ref, "==", 0)


@pytest.mark.parametrize(
    "data", [b"\x80\x2e\x01\x00\x02", b"\x00" * 600, b"\x16\x03\x01\x00\x02\x01\x02"]
)
async def test_garbage_ends_the_connection(listen, connect, wait_for, tls, caplog, data):
    ref = await listen(Plain, ssl=tls)
    client = await connect(ref)
    client.send(data)
    client.writer.write_eof()
    while await client.receive():
        pass
    await wait_for(ref, "==", 0)
    assert not [r for r in caplog.records if r.name == "acceptors"]


async def test_a_name_that_is_not_ascii_is_no_traceback(listen, connect, wait_for, certificates):
    """The warning filter makes an error of what Python could not raise anywhere."""
    ref = await listen(Plain, ssl=certificates)
    hello = client_hello(server_hostname="aaaa.example").replace(b"aaaa", b"\xff\xfe\xfd\xfc")
    assert parse_hello(hello).server_name is None
    client = await connect(ref)
    client.send(hello)
    assert (await client.receive())[:1] == b"\x16"  # a ServerHello, with the default certificate
    await client.close()


def client_hello(server_hostname=None, alpn=(), size=0):
    """The bytes of a real one."""
    context = ssl.create_default_context()
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=server_hostname)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def in_records(hello, size):
    """The same handshake message, in records of `size` bytes."""
    message = hello[5:]
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(one).to_bytes(2) + one for one in pieces)


def test_a_hello_is_read():
    hello = client_hello("A.Example", ["h2", "http/1.1"])
    assert bytes_needed(hello) == len(hello)
    assert parse_hello(hello) == ClientHello("a.example", (b"h2", b"http/1.1"))
    assert parse_hello(client_hello()) == ClientHello()
    for size in (4, 9, 100, 1_000):
        split = in_records(hello, size)
        assert bytes_needed(split) == len(split)
        assert parse_hello(split) == ClientHello("a.example", (b"h2", b"http/1.1"))


def test_a_hello_is_whole_at_its_last_byte_and_never_before():
    for data in (client_hello("a.example"), in_records(client_hello("a.example"), 64)):
        seen = 0
        for size in range(len(data)):
            needed = bytes_needed(data[:size])
            assert needed is not None
            assert size < needed <= len(data)
            assert needed >= seen
            seen = needed
        assert bytes_needed(data + b"more") == len(data)


def test_what_is_no_hello_never_gets_whole():
    for data in (
        b"\x80\x2e\x01",
        b"\x15\x03\x01\x00\x02",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x02",
    ):
        assert bytes_needed(data) is None
    too_long = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"
    assert bytes_needed(too_long) is None
    hello = client_hello("a.example", ["h2"])
    for size in range(9, len(hello)):
        parse_hello(hello[:size])  # raises nothing


X25519, P_256, P_521, BRAINPOOL, GREASE = 29, 23, 25, 26, 0x0A0A
FFDHE_2048, FFDHE_8192 = 256, 260
UNKNOWN = 261  # of the range that RFC 7919 sets aside for finite fields


def hello_for(groups, shares=(), padding=0):
    """A ClientHello of TLS 1.3 that offers key exchanges in `groups`, and begins those in
    `shares`."""

    def extension(kind, value):
        return kind.to_bytes(2) + len(value).to_bytes(2) + value

    def listed(value):
        return len(value).to_bytes(2) + value

    keys = b"".join(one.to_bytes(2) + listed(b"\2" * 32) for one in shares)
    extensions = (
        extension(43, b"\x02\x03\x04")  # supported_versions: TLS 1.3
        + extension(13, listed(b"\x08\x04\x04\x03"))  # signature_algorithms
        + extension(10, listed(b"".join(one.to_bytes(2) for one in groups)))
        + extension(51, listed(keys))
        + extension(21, bytes(padding))
    )
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + listed(extensions)
    message = b"\x01" + len(body).to_bytes(3) + body
    return in_records(b"\x16\x03\x01\0\0" + message, 16_000)


@pytest.mark.parametrize(
    ("groups", "shares", "refused"),
    [
        ([X25519], [X25519], False),
        ([X25519, FFDHE_2048], [X25519], False),  # as Firefox
        ([FFDHE_2048, P_256], [], False),
        ([GREASE, P_521], [], False),
        ([UNKNOWN, X25519], [UNKNOWN, X25519], False),
        ([FFDHE_8192], [FFDHE_8192], True),
        ([X25519, FFDHE_8192], [FFDHE_8192], True),
        ([X25519, BRAINPOOL, FFDHE_2048], [BRAINPOOL, FFDHE_2048], True),
        ([FFDHE_8192], [], True),  # the server would ask for it by a HelloRetryRequest
        ([GREASE, BRAINPOOL, FFDHE_8192], [], True),
    ],
)
async def test_no_key_exchange_over_a_finite_field(
    listen, connect, wait_for, certificates, groups, shares, refused
):
    """One costs the server up to 150 ms of its event loop, and the client nothing."""
    hello = hello_for(groups, shares)
    assert parse_hello(hello).finite_field is refused
    ref = await listen(Plain, ssl=certificates)
    client = await connect(ref)
    client.send(hello)
    client.writer.write_eof()
    answer = await client.receive()
    assert (answer == HANDSHAKE_FAILURE) is refused
    while await client.receive():
        pass
    await wait_for(ref, "==", 0)


@pytest.mark.parametrize(
    "hide",
    [
        lambda hello: hello_for([FFDHE_8192], [FFDHE_8192], padding=17_000),
        lambda hello: b"\x15\x03\x01\0\x02\x01\x5a" + hello,  # a warning first
        lambda hello: b"\x16\x03\x01\0\0" + hello,  # an empty record first
        lambda hello: in_records(hello, 2),
    ],
    ids=["long", "alert", "empty", "tiny"],
)
async def test_a_hello_that_hides_is_refused(listen, connect, wait_for, certificates, hide):
    ref = await listen(Plain, ssl=certificates)
    client = await connect(ref)
    client.send(hide(hello_for([FFDHE_8192], [FFDHE_8192])))
    client.writer.write_eof()
    assert await client.receive() == HANDSHAKE_FAILURE
    await wait_for(ref, "==", 0)


async def test_a_hello_in_pieces(listen, connect, turns, certificates):
    ref = await listen(Plain, ssl=certificates)
    for data in (client_hello("localhost"), in_records(client_hello("localhost"), 100)):
        client = await connect(ref)
        for at in range(0, len(data), 40):
            client.send(data[at : at + 40])
            await turns(1)
        assert (await client.receive())[:1] == b"\x16"
        await client.close()


async def test_a_client_that_leaves_in_the_middle_of_its_hello(listen, connect, wait_for, tls):
    ref = await listen(Plain, ssl=tls)
    client = await connect(ref)
    client.send(client_hello("localhost")[:100])
    client.writer.write_eof()
    while await client.receive():
        pass
    await wait_for(ref, "==", 0)


async def test_alpn(listen, connect, dial, certificates, client_context):
    ref = await listen(Plain, ssl=certificates)
    client = await dial(ref, alpn=["h2", "http/1.1"])
    assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    await client.close()
    without = await dial(ref)
    assert without.writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
    await without.close()
    # RFC 7301 section 3.2: a fatal alert, not a connection that nobody understands.
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        await dial(ref, alpn=["h2"])


async def test_a_context_of_ones_own_decides_itself(listen, dial, pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    ref = await listen(Plain, ssl=context)
    client = await dial(ref, alpn=["h2"])
    assert await client.echo(b"x")
    await client.close()


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_sessions_are_resumed(listen, certificates, client_context, version):
    ref = await listen(Plain, ssl=certificates)
    address = acceptors.get_addr(ref)
    wanted = getattr(ssl.TLSVersion, version)
    context = client_context(minimum_version=wanted, maximum_version=wanted)

    def visit(session):
        with (
            socket.create_connection(address, timeout=5) as raw,
            context.wrap_socket(raw, server_hostname="localhost", session=session) as client,
        ):
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            return client.session, client.session_reused

    session, reused = await asyncio.to_thread(visit, None)
    assert not reused
    _, reused = await asyncio.to_thread(visit, session)
    assert reused


async def test_the_close_of_a_connection_is_announced(listen, certificates, client_context):
    """close_notify: an answer that was cut short can be told from one that was not."""

    class Once(acceptors.Connection):
        def data_received(self, data):
            self.transport.write(data)
            self.transport.close()

    ref = await listen(Once, ssl=certificates)
    address = acceptors.get_addr(ref)

    def visit():
        with (
            socket.create_connection(address, timeout=5) as raw,
            client_context().wrap_socket(
                raw, server_hostname="localhost", suppress_ragged_eofs=False
            ) as client,
        ):
            client.sendall(b"x")
            return client.recv(1), client.recv(1)

    assert await asyncio.to_thread(visit) == (b"x", b"")


async def test_a_peer_that_never_says_goodbye_is_not_waited_for_long(
    listen, connect, wait_for, certificates, client_context, monkeypatch
):
    class Once(acceptors.Connection):
        def data_received(self, data):
            self.transport.close()

    monkeypatch.setattr("acceptors.arrival.CLOSE_TIMEOUT", 0.05)
    ref = await listen(Once, ssl=certificates)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    client = await connect(ref)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            client.send(outgoing.read())
            incoming.write(await client.receive())
    tls.write(b"x")
    client.send(outgoing.read())
    await wait_for(ref, "==", 0)  # event loops would wait for 30 s


async def test_stop_while_hands_are_shaken(listen, connect, wait_for, tls):
    ref = await listen(Plain, ssl=tls, handshake_timeout=30.0, shutdown=0.05)
    silent = await connect(ref)
    half = await connect(ref)
    half.send(b"\x16\x03\x01")
    begun = await connect(ref)
    begun.send(client_hello("localhost"))
    assert await begun.receive()
    await wait_for(ref, "==", 3)
    async with asyncio.timeout(5):
        await acceptors.stop_listener(ref)
    for client in (silent, half, begun):
        while await client.receive():
            pass


async def test_a_kill_in_the_middle_of_a_handshake(listen, connect, wait_for, tls):
    ref = await listen(Plain, ssl=tls, handshake_timeout=30.0)
    client = await connect(ref)
    client.send(client_hello("localhost"))
    assert await client.receive()  # a ServerHello; our Finished never comes
    (connection,) = acceptors.procs(ref, "connections")
    otp.exit(connection, "kill")
    async with asyncio.timeout(5):
        while await client.receive():
            pass
    assert not connection.connections.arrivals


async def test_nothing_is_kept_after_the_handshake(listen, dial, certificates):
    ref = await listen(Plain, ssl=certificates)
    client = await dial(ref)
    assert await client.echo(b"x")
    (connection,) = acceptors.procs(ref, "connections")
    assert not connection.connections.arrivals
    await client.close()


# what a scanner looks for -------------------------------------------------------------------------


async def s_client(ref, *arguments, stdin=b""):
    """openssl s_client against the listener: (exit code, all that it said)."""
    host, port = acceptors.get_addr(ref)
    process = await asyncio.create_subprocess_exec(
        *["openssl", "s_client", "-connect", f"{host}:{port}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OPENSSL_CONF": "/dev/null"},
    )
    async with asyncio.timeout(20):
        said, _ = await process.communicate(stdin)
    return process.returncode, said.decode(errors="replace")


@needs_openssl
@pytest.mark.parametrize(
    ("arguments", "good"),
    [
        (["-tls1_3"], True),
        (["-tls1_2"], True),
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], False),
        (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], False),
        *[
            (["-tls1_2", "-cipher", f"{name}:@SECLEVEL=0"], False)
            for name in (
                "kRSA",  # no forward secrecy
                "DHE",
                "ECDHE-ECDSA-AES128-SHA256",  # CBC: Lucky Thirteen
                "ECDHE-ECDSA-AES256-SHA",
                "aNULL",
                "eNULL",
                "ECDHE-ECDSA-AES128-CCM",
            )
        ],
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], True),
    ],
)
async def test_versions_and_ciphers(listen, certificates, arguments, good):
    ref = await listen(Plain, ssl=certificates)
    code, said = await s_client(ref, *arguments)
    assert (code == 0) is good, said
    if good:
        assert "Compression: NONE" in said


@needs_openssl
async def test_renegotiation_is_refused(listen, certificates):
    ref = await listen(Plain, ssl=certificates)
    _, said = await s_client(ref, "-tls1_2", stdin=b"R\n")
    assert "Secure Renegotiation IS supported" in said  # RFC 5746's signal, against attacks
    assert "no renegotiation" in said.lower()


@needs_openssl
async def test_the_servers_order_of_ciphers_counts(listen, certificates):
    ref = await listen(Plain, ssl=certificates)
    names = [name for name in CIPHERS.split(":") if "ECDSA" in name]
    _, said = await s_client(ref, "-tls1_2", "-cipher", ":".join(reversed(names)))
    assert names[0] in said


@needs_openssl
async def test_tls_1_3_alone(listen, pair):
    certificates = Certificates(TlsOptions(certificates=[pair], min_version="1.3"))
    ref = await listen(Plain, ssl=certificates)
    assert (await s_client(ref, "-tls1_2"))[0] != 0
    assert (await s_client(ref, "-tls1_3"))[0] == 0
