"""`plugpy load` against a real loopback server that behaves well, badly, or not at all."""

import asyncio
import resource
import socket
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from plugpy.load import LoadError, LoadGenerator, LoadOptions, LoadReport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello"


async def load(url: str, **options: Any) -> LoadReport:
    return await LoadGenerator(LoadOptions(url=url, **options)).run()


class TestClosedLoop:
    def test_sends_exactly_n_requests_over_c_connections(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            async with serve() as server:
                report = await load(server.url, connections=10, requests=500)
            assert len(server.requests) == 500
            assert len(server.peers) == 10
            assert report.tally.statuses == {200: 500}
            assert report.sent == report.tally.answered == 500
            assert (report.failed, report.in_flight, report.tally.connects) == (0, 0, 10)
            assert report.tally.bytes_received == 500 * len(OK)
            assert report.tally.bytes_sent == sum(map(len, server.requests))
            assert report.tally.histogram.get_total_count() == 500

        run(main())

    def test_all_clients_are_in_progress_at_once(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            waiting: list[Any] = []

            def answer_when_all_are_there(peer: Any) -> None:
                waiting.append(peer)
                if len(waiting) == 300:
                    for each in waiting:
                        each.write()

            async with serve(answer_when_all_are_there) as server:
                report = await load(server.url, connections=300, requests=300)
            assert report.tally.statuses == {200: 300}
            assert len(server.peers) == 300

        run(main())

    def test_duration_ends_the_run_and_waits_for_what_is_in_flight(
        self, run: Any, serve: Any
    ) -> None:
        async def main() -> None:
            async with serve() as server:
                report = await load(server.url, connections=2, duration=0.05)
            assert report.tally.answered == report.sent == len(server.requests) > 0
            assert report.in_flight == 0

        run(main())

    def test_no_keep_alive_opens_a_connection_for_each_request(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            async with serve() as server:
                report = await load(server.url, connections=4, requests=40, keep_alive=False)
            assert len(server.peers) == 40
            assert all(peer.requests == 1 for peer in server.peers)
            assert b"\r\nConnection: close\r\n" in server.requests[0]
            assert report.tally.statuses == {200: 40}

        run(main())

    def test_reconnects_when_the_server_says_close(self, run: Any, serve: Any) -> None:
        def answer(peer: Any) -> None:
            peer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            peer.transport.close()

        async def main() -> None:
            async with serve(answer) as server:
                report = await load(server.url, connections=2, requests=20)
            assert report.tally.statuses == {200: 20}
            assert len(server.peers) == 20
            assert report.failed == 0

        run(main())

    def test_an_idle_connection_closed_by_the_server_is_no_error(
        self, run: Any, serve: Any
    ) -> None:
        def answer(peer: Any) -> None:
            peer.write()
            peer.transport.close()  # without having said so

        async def main() -> None:
            async with serve(answer) as server:
                # The rate lets the close arrive before the next request is due.
                report = await load(server.url, connections=1, requests=3, rate=20)
            assert report.tally.statuses == {200: 3}
            assert report.failed == 0

        run(main())


class TestOpenLoop:
    def test_keeps_the_rate(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            arrivals: list[float] = []

            def answer(peer: Any) -> None:
                arrivals.append(perf_counter())
                peer.write()

            async with serve(answer) as server:
                report = await load(server.url, connections=5, requests=50, rate=500)
            assert report.tally.statuses == {200: 50}
            # Never ahead of the schedule: 49 intervals of 2 ms lie between first and last.
            assert report.seconds >= 49 / 500
            assert len(arrivals) == 50

        run(main())

    def test_duration_says_how_many_requests_fall_due(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            async with serve() as server:
                report = await load(server.url, connections=2, duration=0.1, rate=300)
            assert report.sent == report.tally.answered == len(server.requests) == 30

        run(main())

    def test_a_stall_is_seen_by_every_request_that_fell_into_it(self, run: Any, serve: Any) -> None:
        """One client, a request due each 5 ms, the server stalls 200 ms once: closed loop figures
        would have one slow request, the schedule has about 40."""

        async def main() -> None:
            stalled: list[bool] = []

            def answer(peer: Any) -> None:
                if stalled:
                    peer.write()
                else:
                    stalled.append(True)
                    asyncio.get_running_loop().call_later(0.2, peer.write)

            async with serve(answer) as server:
                report = await load(server.url, connections=1, requests=60, rate=200)
            assert report.tally.statuses == {200: 60}
            # Request k was due at 5k ms and could be answered at 200 ms at the earliest.
            due = [max(0.2 - k / 200, 0.0) for k in range(60)]
            median = sorted(due)[29]  # the 30th of 60
            assert report.percentiles((50.0,))[50.0] >= median * 0.99
            assert sum(value >= 0.1 for value in due) == 21
            assert report.percentiles((66.0,))[66.0] >= 0.099

        run(main())

    def test_what_was_due_but_never_sent_is_told(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            async with serve(lambda peer: None) as server:
                report = await load(server.url, connections=1, duration=0.1, rate=100, timeout=0.2)
            assert len(server.requests) >= 1
            assert report.tally.statuses == {}
            assert report.tally.errors["timeout"] >= 1
            assert report.tally.errors["not_sent"] >= 1
            assert sum(report.tally.errors.values()) + report.in_flight == 10

        run(main())

    def test_no_keep_alive(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            async with serve() as server:
                report = await load(
                    server.url, connections=3, requests=20, rate=1000, keep_alive=False
                )
            assert report.tally.statuses == {200: 20}
            assert len(server.peers) == 20

        run(main())


class TestAnswers:
    """What counts as one answer."""

    @pytest.mark.parametrize("whole", [True, False], ids=["whole", "byte by byte"])
    @pytest.mark.parametrize(
        ("wire", "method", "closes", "status"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "GET", False, 200),
            (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", False, 204),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                "GET",
                False,
                200,
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", "HEAD", False, 200),
            (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "GET", True, 200),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "GET", True, 200),
            (
                b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
                "GET",
                False,
                404,
            ),
        ],
    )
    def test_framing(
        self,
        run: Any,
        serve: Any,
        wire: bytes,
        method: str,
        closes: bool,
        status: int,
        whole: bool,
    ) -> None:
        def answer(peer: Any) -> None:
            for piece in [wire] if whole else [bytes([byte]) for byte in wire]:
                peer.write(piece)
            if closes:
                peer.transport.close()

        async def main() -> None:
            async with serve(answer) as server:
                report = await load(server.url, connections=2, requests=6, method=method)
            assert report.tally.statuses == {status: 6}
            assert report.errors == 0
            assert report.tally.connects == (6 if closes else 2)
            assert report.failed == (6 if status >= 400 else 0)

        run(main())


class TestErrors:
    def test_refused_ends_the_run_at_once(self, run: Any) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, not listening
            url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
            report = run(load(url, connections=100, requests=10_000))
        assert report.tally.errors == {"refused": 1}
        assert "can't connect to 127.0.0.1 port" in report.problem
        assert report.sent == report.errors + report.in_flight
        assert "Connection refused" in report.as_text()

    def test_refused_after_a_success_counts_each_request(self, run: Any) -> None:
        """The listening socket closes after the first connection; the next connects fail."""

        async def main() -> LoadReport:
            loop = asyncio.get_running_loop()

            class Once(asyncio.Protocol):
                def connection_made(self, transport: Any) -> None:
                    self.transport = transport
                    server.close()

                def data_received(self, data: bytes) -> None:
                    self.transport.write(OK)
                    self.transport.close()

            server = await loop.create_server(Once, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            return await load(
                f"http://127.0.0.1:{port}/", connections=1, requests=3, keep_alive=False
            )

        report = run(main())
        assert report.tally.statuses == {200: 1}
        assert report.tally.errors == {"refused": 2}
        assert report.problem is None
        assert report.failed == 2

    @pytest.mark.parametrize(
        ("wire", "kind"),
        [
            (b"SSH-2.0-OpenSSH_9.9\r\n", "bad_response"),
            (OK + OK, "bad_response"),
            (
                b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
                "bad_response",
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nHello", "closed"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHe", "closed"),
            (b"HTTP/1.1 200", "closed"),
            (b"", "closed"),
        ],
    )
    def test_broken_answers(self, run: Any, serve: Any, wire: bytes, kind: str) -> None:
        def answer(peer: Any) -> None:
            peer.write(wire)
            peer.transport.close()

        async def main() -> None:
            async with serve(answer) as server:
                report = await load(server.url, connections=1, requests=3)
            assert report.tally.errors == {kind: 3}
            assert report.failed == 3
            assert report.tally.statuses == {}

        run(main())

    def test_reset(self, run: Any, serve: Any) -> None:
        def answer(peer: Any) -> None:
            # SO_LINGER with zero seconds: close(2) sends RST.
            sock = peer.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.transport.abort()

        async def main() -> None:
            async with serve(answer) as server:
                report = await load(server.url, connections=1, requests=2)
            assert report.tally.errors == {"reset": 2}

        run(main())

    def test_timeout_counts_with_the_time_waited(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            async with serve(lambda peer: None) as server:
                report = await load(server.url, connections=2, requests=2, timeout=0.1)
            assert report.tally.errors == {"timeout": 2}
            assert report.tally.histogram.get_min_value() >= 99_000

        run(main())

    def test_a_late_answer_is_not_taken_for_the_next_one(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            late: list[Any] = []

            def answer(peer: Any) -> None:
                if not late:
                    late.append(peer)
                else:
                    if not late[0].transport.is_closing():
                        late[0].write(b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n")
                    peer.write()

            async with serve(answer) as server:
                report = await load(server.url, connections=1, requests=3, timeout=0.1)
            assert report.tally.statuses == {200: 2}
            assert report.tally.errors == {"timeout": 1}

        run(main())

    def test_unknown_host(self, run: Any) -> None:
        with pytest.raises(LoadError, match=r"host 'nowhere\.invalid' is not known"):
            run(load("http://nowhere.invalid/", requests=1))


class TestStop:
    def test_tells_what_was_measured_so_far(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            def answer(peer: Any) -> None:
                if len(server.requests) <= 10:
                    peer.write()
                elif len(server.requests) == 12:
                    asyncio.get_running_loop().call_soon(generator.stop)

            async with serve(answer) as server:
                generator = LoadGenerator(LoadOptions(url=server.url, connections=2, requests=1000))
                report = await generator.run()
            assert report.interrupted
            assert report.tally.statuses == {200: 10}
            assert (report.in_flight, report.sent, report.errors) == (2, 12, 0)
            assert "2 in flight were dropped" in " ".join(report.as_text().split())

        run(main())


class TestTransports:
    def test_unix_socket(self, run: Any, serve: Any, tmp_path: Path) -> None:
        async def main() -> None:
            path = tmp_path / "app.sock"
            async with serve(uds=path) as server:
                report = await load(
                    "http://example.com/x", uds=str(path), connections=2, requests=10
                )
            assert report.tally.statuses == {200: 10}
            assert b"GET /x HTTP/1.1\r\nHost: example.com\r\n" in server.requests[0]

        run(main())

    def test_a_body_is_sent_with_its_length(self, run: Any, serve: Any) -> None:
        async def main() -> None:
            async with serve() as server:
                options = LoadOptions(
                    url=server.url,
                    connections=1,
                    requests=2,
                    body=b"a=1",
                    headers=[("Content-Type", "text/x")],
                )
                server.request_size = len(options.request)
                report = await LoadGenerator(options).run()
            assert report.tally.statuses == {200: 2}
            assert server.requests[1].startswith(b"POST / HTTP/1.1\r\n")
            assert server.requests[1].endswith(b"\r\nContent-Type: text/x\r\n\r\na=1")
            assert b"\r\nContent-Length: 3\r\n" in server.requests[1]

        run(main())


class TestDescriptors:
    def test_raises_the_soft_limit(
        self, run: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "getrlimit", lambda which: (70, 5000))
        monkeypatch.setattr(resource, "setrlimit", lambda which, limits: asked.append(limits))

        async def main() -> None:
            async with serve() as server:
                await load(server.url, connections=10, requests=10)

        run(main())
        assert asked == [(74, 5000)]

    def test_says_when_the_hard_limit_is_too_low(
        self, run: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda which: (70, 100))
        with pytest.raises(LoadError, match="hard limit is 100: take at most 36 connections"):
            run(load("http://127.0.0.1:1/", connections=1000, requests=1000))
