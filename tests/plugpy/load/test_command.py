"""`plugpy load` as a user runs it: another process, its output and exit code."""

import json
import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from plugpy.cli.load import load
from plugpy.server.errors import ConfigurationError, StartError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello"


class ThreadedServer:
    """A blocking server in a thread; `silent` after so many answers."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.status = b"200 OK"
        self.answers_until_silent = -1
        self.first_silent = threading.Event()
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listening.getsockname()[1]}/"
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            while connection.recv(65536):
                if self.answers_until_silent == 0:
                    self.first_silent.set()
                    continue
                self.answers_until_silent -= 1
                connection.sendall(OK.replace(b"200 OK", self.status))
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    server = ThreadedServer()
    yield server
    server.close()


def command(*arguments: str, **extra: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "plugpy", "load", *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        **extra,
    )


def test_prints_a_report_and_exits_with_0(server: ThreadedServer) -> None:
    done = command(server.url, "-c", "2", "-n", "20")
    assert done.returncode == 0
    assert done.stderr == ""  # no bar where standard error is no terminal
    words = " ".join(done.stdout.split())
    assert f"Loading {server.url} with 2 connections, 20 requests" in words
    assert "Status 200 20" in words
    assert "99 %" in words
    assert "\x1b" not in done.stdout


def test_json_goes_to_standard_output_alone(server: ThreadedServer) -> None:
    done = command(server.url, "-c", "2", "-n", "20", "--rate", "1000", "--json")
    assert done.returncode == 0
    figures = json.loads(done.stdout)
    assert figures["statuses"] == {"200": 20}
    assert figures["mode"] == "open"


def test_failed_requests_exit_with_1(server: ThreadedServer) -> None:
    server.status = b"500 Internal Server Error"
    done = command(server.url, "-c", "1", "-n", "3", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["requests"]["failed"] == 3


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = command(f"127.0.0.1:{taken.getsockname()[1]}", "-n", "5")
    assert done.returncode == 1
    assert "Connection refused" in done.stdout


def test_interrupt_prints_what_was_measured(server: ThreadedServer) -> None:
    server.answers_until_silent = 5
    process = subprocess.Popen(
        [sys.executable, "-m", "plugpy", "load", server.url, "-c", "1", "-n", "100", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert server.first_silent.wait(50)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=50)
    figures = json.loads(output)
    assert figures["interrupted"] is True
    assert figures["statuses"] == {"200": 5}
    assert figures["requests"]["in_flight"] == 1
    assert process.returncode == 130


def test_a_terminal_sees_a_progress_bar(server: ThreadedServer) -> None:
    """Colour and bar on a terminal, no colour with NO_COLOR."""
    for no_color in (False, True):
        ours, theirs = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CI")}
        environment |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "25"}
        if no_color:
            environment["NO_COLOR"] = "1"
        process = subprocess.Popen(
            [
                sys.executable,
                *["-m", "plugpy", "load", "-c", "1", "-n", "30", "--rate", "100"],
                server.url,
            ],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=environment,
            text=True,
        )
        os.close(theirs)
        with process:
            output, _ = process.communicate(timeout=50)
        drawn = b""
        try:
            while piece := os.read(ours, 65536):
                drawn += piece
        except OSError:  # EIO: the other end of a pty is closed
            pass
        os.close(ours)
        assert process.returncode == 0
        assert "Status 200" in output
        assert b"answers" in drawn
        assert (b"\x1b[38;5;" in drawn) is not no_color


class TestTls:
    @pytest.fixture
    def tls_server(self, tmp_path: Path) -> Iterator[ThreadedServer]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        path = tmp_path / "both.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        server = ThreadedServer(context)
        yield server
        server.close()

    def test_insecure_takes_any_certificate(self, tls_server: ThreadedServer) -> None:
        done = command(tls_server.url, "-c", "2", "-n", "10", "--insecure", "--json")
        assert json.loads(done.stdout)["statuses"] == {"200": 10}
        assert done.returncode == 0

    def test_an_unknown_certificate_is_refused(self, tls_server: ThreadedServer) -> None:
        done = command(tls_server.url, "-c", "1", "-n", "10", "--json")
        figures = json.loads(done.stdout)
        assert figures["errors"]["tls"]["count"] == 1
        assert "certificate" in figures["problem"]
        assert done.returncode == 1


class TestUsage:
    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(load, arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("ftp://a",), "not an http:// or https:// URL"),
            (("http://a", "-c", "0"), "connections must be at least 1"),
            (("http://a", "-H", "no colon"), "has no colon; write 'Name: value'"),
            (("http://a", "-d", "@/nowhere/at/all"), "No such file"),
        ],
    )
    def test_wrong_values(self, arguments: tuple[str, ...], message: str) -> None:
        result = self.run(*arguments)
        assert isinstance(result.exception, ConfigurationError)
        assert message in str(result.exception)

    def test_wrong_span(self) -> None:
        result = self.run("http://a", "--duration", "soon")
        assert result.exit_code == 2
        assert "write it as 30s" in result.output

    @pytest.mark.parametrize(("module", "package"), [("hdrh.histogram", "hdrhistogram")])
    def test_missing_extra(
        self, monkeypatch: pytest.MonkeyPatch, module: str, package: str
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        result = self.run("http://a", "-n", "1")
        assert isinstance(result.exception, StartError)
        assert package in str(result.exception)
        assert "pip install 'plugpy[load]'" in str(result.exception)


def test_missing_rich_is_told_where_a_bar_would_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    from plugpy.load import LoadError, make_progress

    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(LoadError, match=r"package rich.*plugpy\[load\].*--no-progress"):
        make_progress(sys.stderr)
