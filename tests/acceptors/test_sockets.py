"""Where a listener listens: addresses, unix sockets, sockets of others; and the socket options."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import textwrap

import pytest

import acceptors
from acceptors.sockets import ListenSockets, systemd_descriptors

TCP, LEVEL = socket.IPPROTO_TCP, socket.SOL_SOCKET


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"])
async def test_addresses(listen, connect, host):
    ref = await listen(host=host)
    port = acceptors.get_port(ref)
    assert acceptors.get_addr(ref)[1] == port
    targets = {"0.0.0.0": ["127.0.0.1"], "::": ["::1", "127.0.0.1"]}.get(host, [host])
    for target in targets:  # "::" is both: dual stack
        assert await (await connect((target, port))).echo(b"x")
    if host == "::1":
        with pytest.raises(ConnectionRefusedError):
            await connect(("127.0.0.1", port))


async def test_address_in_use_says_where(listen):
    ref = await listen()
    port = acceptors.get_port(ref)
    with pytest.raises(OSError, match=f"in use \\(127.0.0.1 port {port}\\)"):
        await listen(port=port)
    assert len(acceptors.info()) == 1


async def test_address_that_is_not_ours(listen):
    with pytest.raises(OSError, match=r"\(203.0.113.5 port 0\)"):
        await listen(host="203.0.113.5")


@pytest.fixture
def resolve(monkeypatch):
    """`resolve("127.0.0.1", "::1")`: every name has these addresses, in this order."""

    def answer(*addresses):
        def getaddrinfo(host, port, *args, **more):
            return [
                (socket.AF_INET6, 1, 6, "", (one, port, 0, 0))
                if ":" in one
                else (socket.AF_INET, 1, 6, "", (one, port))
                for one in addresses
            ]

        monkeypatch.setattr("acceptors.sockets.socket.getaddrinfo", getaddrinfo)

    return answer


async def test_a_name_listens_on_all_of_its_addresses(listen, connect, resolve, monkeypatch):
    resolve("127.0.0.1", "::1", "127.0.0.1", "127.0.0.2")
    seen = []
    ref = await listen(host="localhost", num_listen_sockets=2, post_listen_callback=seen.extend)
    assert len(seen) == 6  # two for each address
    port = acceptors.get_port(ref)
    assert {one.getsockname()[1] for one in seen} == {port}
    monkeypatch.undo()
    for host in ("127.0.0.1", "::1", "127.0.0.2"):
        assert await (await connect((host, port))).echo(b"x")


async def test_addresses_that_this_machine_does_not_have_are_passed_over(listen, connect, resolve):
    resolve("203.0.113.5", "127.0.0.1", "2001:db8::5")
    ref = await listen(host="several.example")
    assert acceptors.get_addr(ref)[0] == "127.0.0.1"
    resolve("203.0.113.5", "2001:db8::5")
    with pytest.raises(OSError, match=r"several.example, 203.0.113.5, port 0"):
        await listen(host="several.example")


async def test_one_address_that_is_in_use_fails_the_start(listen, resolve):
    ref = await listen()
    port = acceptors.get_port(ref)
    resolve("127.0.0.2", "127.0.0.1")
    with pytest.raises(OSError, match=f"in use \\(localhost, 127.0.0.1, port {port}\\)"):
        await listen(host="localhost", port=port)


async def test_a_free_port_is_free_at_all_addresses(listen, resolve, monkeypatch):
    """The port that the system picks for the first address may be taken at the next one."""
    from acceptors import sockets

    bind, taken = sockets._bind, []

    def busy(options, family, address, port):
        if address[0] == "127.0.0.2" and len(taken) < 2:
            taken.append(port)
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind(options, family, address, port)

    monkeypatch.setattr(sockets, "_bind", busy)
    resolve("127.0.0.1", "127.0.0.2")
    seen = []
    await listen(host="localhost", post_listen_callback=seen.extend)
    assert len({one.getsockname()[1] for one in seen}) == 1
    assert len(taken) == 2


async def test_several_sockets_share_a_port(listen, connect, wait_for):
    seen = []
    ref = await listen(num_listen_sockets=4, num_acceptors=4, post_listen_callback=seen.extend)
    ports = {one.getsockname()[1] for one in seen}
    assert len(seen) == 4
    assert ports == {acceptors.get_port(ref)}
    assert all(one.getsockopt(LEVEL, socket.SO_REUSEPORT) for one in seen)
    # The kernel spreads them by a hash: with so many, each socket gets some.
    clients = [await connect(ref) for _ in range(60)]
    await wait_for(ref, "==", 60)
    assert all([await client.echo(b"x") for client in clients])


async def test_socket_options(listen, connect):
    seen = []
    ref = await listen(
        keepalive=True, defer_accept=1, fastopen=7, reuseport=True, post_listen_callback=seen.extend
    )
    (one,) = seen
    assert one.getsockopt(LEVEL, socket.SO_KEEPALIVE)
    assert one.getsockopt(LEVEL, socket.SO_REUSEPORT)
    assert one.getsockopt(LEVEL, socket.SO_REUSEADDR)
    assert one.getsockopt(LEVEL, socket.SO_ACCEPTCONN)
    assert one.getsockopt(TCP, socket.TCP_DEFER_ACCEPT)
    assert one.getsockopt(TCP, socket.TCP_FASTOPEN) == 7
    assert await (await connect(ref)).echo(b"x")


@pytest.mark.parametrize("nodelay", [True, False])
async def test_nodelay_and_keepalive_of_connections(listen, connect, wait_for, nodelay):
    ref = await listen(nodelay=nodelay, keepalive=True)
    client = await connect(ref)
    assert await client.echo(b"x")
    (connection,) = acceptors.procs(ref, "connections")
    accepted = connection.transport.get_extra_info("socket")
    assert bool(accepted.getsockopt(TCP, socket.TCP_NODELAY)) is nodelay
    assert accepted.getsockopt(LEVEL, socket.SO_KEEPALIVE)


async def test_post_listen_callback_that_raises_fails_the_start(listen):
    seen = []

    def refuse(sockets):
        seen.extend(sockets)
        raise PermissionError(13, "not here")

    with pytest.raises(PermissionError, match="not here"):
        await listen(post_listen_callback=refuse)
    assert [one.fileno() for one in seen] == [-1]
    assert acceptors.info() == {}


# unix sockets


async def test_unix_socket(listen, connect, tmp_path):
    path = str(tmp_path / "socket")
    ref = await listen(uds=path, uds_mode=0o640)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert (acceptors.get_addr(ref), acceptors.get_port(ref)) == (path, None)
    assert acceptors.info(ref)["transport"] == "unix"
    client = await connect(ref)
    assert await client.echo(b"x")
    await acceptors.suspend_listener(ref)
    assert not os.path.exists(path)
    assert await client.echo(b"x")
    await acceptors.resume_listener(ref)
    assert await (await connect(ref)).echo(b"x")
    await acceptors.stop_listener(ref)
    assert not os.path.exists(path)


async def test_stale_unix_socket_is_replaced(listen, connect, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)  # and never unlinked, as by a program that was killed
    ref = await listen(uds=path)
    assert await (await connect(ref)).echo(b"x")


async def test_unix_socket_of_somebody_else_is_left_alone(listen, connect, tmp_path):
    path = str(tmp_path / "socket")
    ref = await listen(uds=path)
    with pytest.raises(OSError, match="another program listens"):
        await listen(uds=path)
    assert await (await connect(ref)).echo(b"still there")
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(OSError, match="is not a socket"):
        await listen(uds=str(file))
    assert file.read_text() == "precious"
    # Somebody has put a socket of their own there since: it is not ours to remove.
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        await acceptors.stop_listener(ref)
        assert os.path.exists(path)


# sockets of others


async def test_open_sockets_are_taken_and_left_open(listen, connect, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix.bind(path)
        ref = await listen(sockets=[tcp, unix])
        assert acceptors.get_addr(ref) == tcp.getsockname()
        assert await (await connect(tcp.getsockname())).echo(b"x")
        assert await (await connect(path)).echo(b"x")
        await acceptors.stop_listener(ref)
        assert os.path.exists(path)  # whoever opened it unlinks it
        ref = await listen(sockets=[tcp])
        assert await (await connect(tcp.getsockname())).echo(b"again, by the next generation")


async def test_open_descriptor(listen, connect):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        ref = await listen(fd=one.fileno())
        assert await (await connect(ref)).echo(b"x")
        await acceptors.stop_listener(ref)
        assert one.fileno() >= 0
        one.getsockname()


async def test_descriptor_that_is_no_socket(listen, tmp_path):
    file = os.open(tmp_path / "file", os.O_CREAT)
    with pytest.raises(OSError, match=f"descriptor {file}"):
        await listen(fd=file)
    os.close(file)
    with pytest.raises(OSError, match="descriptor 987654"):
        await listen(fd=987_654)


SYSTEMD = """
import asyncio, os, socket
import acceptors

async def main():
    os.environ["LISTEN_PID"] = str(os.getpid())
    await acceptors.start_listener("activated", {"systemd": True}, Echo)
    print(len(acceptors.listener.find("activated").sockets), acceptors.get_port("activated"))
    for number in (3, 4):
        with socket.socket(fileno=os.dup(number)) as passed:
            reader, writer = await asyncio.open_connection(*passed.getsockname())
        writer.write(b"served")
        print((await reader.read(100)).decode())
        writer.close()
    await acceptors.stop_listener("activated")

class Echo(acceptors.Connection):
    def data_received(self, data):
        self.transport.write(data)

asyncio.run(main())
"""


def test_systemd():
    with socket.socket() as one, socket.socket() as two:
        for passed in (one, two):
            passed.bind(("127.0.0.1", 0))
            passed.listen()
        # As systemd does: the descriptors from 3 on, their number in the environment.
        first, second = one.fileno(), two.fileno()

        def pass_on() -> None:
            copies = [os.dup(first), os.dup(second)]
            for number, copy in zip((3, 4), copies, strict=True):
                os.dup2(copy, number, inheritable=True)

        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SYSTEMD)],
            env={**os.environ, "LISTEN_FDS": "2"},
            capture_output=True,
            text=True,
            close_fds=False,
            preexec_fn=pass_on,
            timeout=20,
            check=False,
        )
        assert done.stderr == ""
        assert done.stdout.split() == ["2", str(one.getsockname()[1]), "served", "served"]


@pytest.mark.parametrize(
    ("environment", "descriptors"),
    [
        ({}, None),
        ({"LISTEN_FDS": "1"}, None),
        ({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, None),
        ({"LISTEN_FDS": "0", "LISTEN_PID": "me"}, None),
        ({"LISTEN_FDS": "-1", "LISTEN_PID": "me"}, None),
        ({"LISTEN_FDS": "x", "LISTEN_PID": "me"}, None),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "me"}, [3, 4]),
    ],
)
def test_systemd_environment(monkeypatch, environment, descriptors):
    for name in ("LISTEN_FDS", "LISTEN_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("me", str(os.getpid())))
    if descriptors is None:
        with pytest.raises(OSError, match="LISTEN_FDS and LISTEN_PID are not set for this process"):
            systemd_descriptors()
    else:
        assert systemd_descriptors() == descriptors


def test_backlog():
    opened = ListenSockets(acceptors.TransportOptions(backlog=1))
    clients = [socket.socket() for _ in range(10)]
    queued = 0
    for client in clients:
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", opened.port))
    for client in clients:
        # Loopback answers before connect returns, where there is room in the queue.
        queued += client.getsockopt(TCP, socket.TCP_INFO, 1) == b"\x01"  # TCP_ESTABLISHED
        client.close()
    opened.close()
    assert queued == 2  # listen(2): one more than asked for
