"""What comes before the protocol's bytes, on real sockets: PROXY headers, and who may send them."""

from __future__ import annotations

import asyncio
import socket

import pytest

import acceptors
from acceptors import otp
from acceptors.proxy_protocol import SIGNATURE, ProxyHeader, ProxyTls, encode

CLIENT = ("203.0.113.9", 5_000)
SERVER = ("192.0.2.1", 443)
HEADERS = {
    "v1": encode(ProxyHeader(version=1, family="tcp4", source=CLIENT, destination=SERVER)),
    "v2": encode(
        ProxyHeader(
            family="tcp4",
            source=CLIENT,
            destination=SERVER,
            authority="a.example",
            ssl=ProxyTls(version="TLSv1.3"),
        ),
        checksum=True,
    ),
}


class Teller(acceptors.Connection):
    """Says whose connection it is when it is asked, and "no" to plain text where it speaks TLS."""

    __slots__ = ()

    @classmethod
    def refusal(cls, options):
        return b"full"

    @classmethod
    def plain_text_refusal(cls, options):
        return b"no"

    def data_received(self, data):
        text = f"{data.decode()}: {self.peername[:2]} {self.sockname[:2]}"
        self.transport.write(text.encode())


def ours(client) -> str:
    """What Teller says of a client without a header."""
    writer = client.writer
    return f"{writer.get_extra_info('sockname')[:2]} {writer.get_extra_info('peername')[:2]}"


@pytest.mark.parametrize("mode", ["optional", "required"])
@pytest.mark.parametrize("version", HEADERS)
async def test_the_client_is_the_one_of_the_header(listen, connect, version, mode):
    ref = await listen(Teller, proxy_protocol=mode)
    client = await connect(ref)
    client.send(HEADERS[version] + b"who")  # the first bytes of the client right behind it
    assert await client.receive() == f"who: {CLIENT} {SERVER}".encode()
    (connection,) = acceptors.procs(ref, "connections")
    snapshot = connection.snapshot()
    assert (snapshot["peer"], snapshot["local"]) == ("203.0.113.9:5000", "192.0.2.1:443")
    if version == "v2":
        assert connection.proxy_header.authority == "a.example"
    await client.close()


@pytest.mark.parametrize("version", HEADERS)
async def test_a_header_byte_by_byte(listen, connect, turns, version):
    ref = await listen(Teller, proxy_protocol="required")
    client = await connect(ref)
    client.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in HEADERS[version]:
        client.send(bytes([byte]))
        await turns(1)
    client.send(b"who")
    assert await client.receive() == f"who: {CLIENT} {SERVER}".encode()
    await client.close()


async def test_without_a_header_where_it_is_optional(listen, connect, turns):
    ref = await listen(Teller, proxy_protocol="optional")
    client = await connect(ref)
    client.send(b"who")
    assert await client.receive() == f"who: {ours(client)}".encode()
    await client.close()
    # "PUT" begins as a header does, until its second byte.
    slow = await connect(ref)
    slow.send(b"P")
    await turns(5)
    slow.send(b"UT")
    got = b""
    while b"UT" not in got and (piece := await slow.receive()):
        got += piece
    assert got in {
        f"PUT: {ours(slow)}".encode(),
        f"P: {ours(slow)}UT: {ours(slow)}".encode(),
    }
    await slow.close()


async def test_a_protocol_that_raises_on_bytes_that_were_kept_ends_alone(
    listen, connect, turns, wait_for, caplog
):
    class Broken(acceptors.Connection):
        def data_received(self, data):
            raise RuntimeError("no")

    ref = await listen(Broken, proxy_protocol="optional")
    client = await connect(ref)
    client.send(b"PR")
    await turns(5)
    client.send(b"X")
    assert await client.receive() == b""
    await wait_for(ref, "==", 0)
    assert "crashed" in caplog.text


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"PROXY TCP9 ", SIGNATURE + b"\x31", b"PROXY \r\n"]
)
async def test_bad_headers_end_the_connection(listen, connect, wait_for, caplog, data):
    ref = await listen(Teller, proxy_protocol="required")
    client = await connect(ref)
    client.send(data)
    assert await client.receive() == b""
    await wait_for(ref, "==", 0)
    assert "the PROXY header of 127.0.0.1 is refused" in caplog.text


async def test_the_end_of_a_half_header_is_the_end(listen, connect, wait_for, caplog):
    ref = await listen(Teller, proxy_protocol="required")
    client = await connect(ref)
    client.send(HEADERS["v2"][:-1])
    client.writer.write_eof()
    assert await client.receive() == b""
    await wait_for(ref, "==", 0)
    assert not caplog.records


async def test_unknown_and_local_leave_the_address_of_the_socket(listen, connect):
    ref = await listen(Teller, proxy_protocol="required")
    for header in (ProxyHeader(version=1), ProxyHeader(), ProxyHeader(local=True)):
        client = await connect(ref)
        client.send(encode(header) + b"who")
        assert await client.receive() == f"who: {ours(client)}".encode()
        await client.close()


async def test_who_is_not_trusted_is_not_listened_to(listen, connect, wait_for, caplog):
    networks = ["192.0.2.0/24", "2001:db8::/32"]
    ref = await listen(Teller, proxy_protocol="required", proxy_networks=networks)
    for _ in range(3):
        client = await connect(ref)
        assert await client.receive() == b""
    await wait_for(ref, "==", 0)
    (record,) = caplog.records  # said once, not each time
    assert "127.0.0.1 is not in proxy_networks" in record.message


async def test_who_is_not_trusted_speaks_for_itself_where_a_header_is_optional(listen, connect):
    ref = await listen(Teller, proxy_protocol="optional", proxy_networks=["192.0.2.0/24"])
    client = await connect(ref)
    header = HEADERS["v1"]
    client.send(header)  # bytes like any others
    assert await client.receive() == f"{header.decode()}: {ours(client)}".encode()
    await client.close()


async def test_a_unix_socket_is_trusted(listen, connect, tmp_path):
    ref = await listen(Teller, uds=str(tmp_path / "s"), proxy_protocol="required")
    client = await connect(ref)
    client.send(HEADERS["v2"] + b"who")
    assert await client.receive() == f"who: {CLIENT} {SERVER}".encode()
    await client.close()


async def test_silence_holds_no_acceptor_and_ends_in_time(listen, connect, wait_for, clock):
    ref = await listen(Teller, num_acceptors=1, proxy_protocol="required", handshake_timeout=3.0)
    silent = await connect(ref)
    await wait_for(ref, "==", 1)
    host, port = silent.writer.get_extra_info("sockname")
    assert acceptors.procs(ref, "connections")[0].snapshot()["peer"] == f"{host}:{port}"
    half = await connect(ref)
    half.send(b"PROXY TCP4 ")
    other = await connect(ref)
    other.send(HEADERS["v1"] + b"who")
    assert await other.receive() == f"who: {CLIENT} {SERVER}".encode()
    assert acceptors.info(ref)["active_connections"] == 3
    await clock.advance(2.9)
    assert acceptors.info(ref)["active_connections"] == 3
    await clock.advance(0.2)
    assert await silent.receive() == b""
    assert await half.receive() == b""
    await wait_for(ref, "==", 1)
    await other.close()


async def test_they_count_against_max_connections(listen, connect, wait_for):
    ref = await listen(
        Teller, proxy_protocol="required", max_connections=2, max_connections_policy="close"
    )
    two = [await connect(ref) for _ in range(2)]
    await wait_for(ref, "==", 2)
    third = await connect(ref)
    assert await third.receive() == b""
    for one in two:
        await one.close()
    await wait_for(ref, "==", 0)


async def test_the_limit_for_an_address_is_the_clients_not_the_proxys(listen, connect, wait_for):
    ref = await listen(
        Teller,
        proxy_protocol="optional",
        max_connections_per_ip=1,
        max_connections_policy="refuse",
    )

    def header(host):
        return encode(ProxyHeader(family="tcp4", source=(host, 1), destination=SERVER)) + b"who"

    first, second, third = [await connect(ref) for _ in range(3)]
    first.send(header("203.0.113.1"))
    assert (await first.receive()).startswith(b"who: ('203.0.113.1', 1)")
    second.send(header("203.0.113.2"))
    assert (await second.receive()).startswith(b"who: ('203.0.113.2', 1)")
    third.send(header("203.0.113.1"))
    assert await third.receive() == b"full"
    await first.close()
    await third.close()
    await wait_for(ref, "==", 1)
    again = await connect(ref)
    again.send(header("203.0.113.1"))
    assert (await again.receive()).startswith(b"who")
    await again.close()
    await second.close()


async def test_the_end_of_the_listener_ends_those_that_have_not_begun(listen, connect, clock):
    ref = await listen(Teller, proxy_protocol="required", shutdown=60.0)
    silent = await connect(ref)
    await acceptors.wait_for_connections(ref, "==", 1)
    stopping = asyncio.ensure_future(acceptors.stop_listener(ref))
    await clock.advance(0.2)
    assert await silent.receive() == b""
    await stopping


async def test_one_that_begins_while_connections_finish_is_served(listen, connect, clock):
    ref = await listen(Teller, proxy_protocol="required", shutdown=60.0)
    client = await connect(ref)
    await acceptors.wait_for_connections(ref, "==", 1)
    stopping = asyncio.ensure_future(acceptors.stop_listener(ref))
    await clock.advance(0.01)
    client.send(HEADERS["v1"][:9])
    await clock.advance(0.2)
    client.send(HEADERS["v1"][9:])
    assert await client.receive() == b""  # the protocol's `drain` closes it in its own way
    await stopping


async def test_a_kill_closes_the_socket_at_once(listen, connect, wait_for):
    ref = await listen(Teller, proxy_protocol="required")
    client = await connect(ref)
    await wait_for(ref, "==", 1)
    (connection,) = acceptors.procs(ref, "connections")
    otp.exit(connection, "kill")
    assert await client.receive() == b""
    assert not connection.connections.arrivals


async def test_nothing_is_kept_of_connections_that_are_over(listen, connect, wait_for):
    ref = await listen(Teller, proxy_protocol="optional")
    for data in (HEADERS["v1"] + b"who", b"who"):
        client = await connect(ref)
        client.send(data)
        await client.receive()
        (connection,) = acceptors.procs(ref, "connections")
        await client.close()
        await wait_for(ref, "==", 0)
        assert not connection.connections.arrivals


async def test_a_header_before_tls(listen, connect, turns, write_certificate, client_context):
    from acceptors.tls import Certificates, TlsOptions

    certificates = Certificates(TlsOptions(certificates=[write_certificate("localhost")]))
    ref = await listen(Teller, ssl=certificates, proxy_protocol="optional")
    address = acceptors.get_addr(ref)
    for header in (HEADERS["v1"], HEADERS["v2"], b""):
        raw = socket.create_connection(address)
        raw.sendall(header)
        raw.setblocking(False)
        reader, writer = await asyncio.open_connection(
            sock=raw, ssl=client_context(), server_hostname="localhost"
        )
        writer.write(b"who")
        answer = await reader.read(1_000)
        assert answer.startswith(f"who: {CLIENT} {SERVER}".encode()) is bool(header)
        writer.close()
        await writer.wait_closed()
    # Neither a header nor TLS, and the first byte is in our hands already.
    plain = await connect(ref)
    plain.send(b"P")
    await turns(5)
    plain.send(b"OST / HTTP/1.1\r\n")
    assert await plain.receive() == b"no"
    await plain.close()


@pytest.mark.parametrize("policy", ["wait", "close"])
async def test_who_says_nothing_makes_room_when_the_listener_is_full(
    listen, connect, wait_for, clock, policy
):
    ref = await listen(
        Teller,
        proxy_protocol="required",
        handshake_timeout=60.0,
        max_connections=2,
        max_connections_policy=policy,
    )
    begun = await connect(ref)
    begun.send(HEADERS["v1"][:7])
    silent = await connect(ref)
    await wait_for(ref, "==", 2)
    await clock.advance(2.0)
    third = await connect(ref)
    third.send(HEADERS["v1"] + b"who")
    assert await third.receive() == f"who: {CLIENT} {SERVER}".encode()
    assert await silent.receive() == b""
    begun.send(HEADERS["v1"][7:] + b"who")
    assert await begun.receive() == f"who: {CLIENT} {SERVER}".encode()
    await begun.close()
    await third.close()
