"""Several listeners under a master: each worker has sockets of all of them."""

import http.client
import re
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONFIGURATION = """
app = "app:plug"
workers = 2
certfile = "{certfile}"
keyfile = "{keyfile}"

[[listen]]
url = "http://127.0.0.1:0"

[[listen]]
url = "https://127.0.0.1:0"
tls-min-version = "1.3"

[[listen]]
url = "unix:app.sock"

[[listen]]
url = "http://127.0.0.1:0"
app = "app:environment"
name = "admin"
"""


def ask(port: int, context: ssl.SSLContext | None = None) -> str:
    """The body of one answer."""
    connection = (
        http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        if context is None
        else http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    )
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def ask_unix(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        with client.makefile("rb") as answer:
            return answer.read().decode().rpartition("\n")[2]


def test_every_worker_serves_every_listener(
    start: Any,
    app_dir: Path,
    is_free: Callable[[tuple[str, int]], bool],
    write_certificate: Callable[..., tuple[str, str]],
    client_context: Callable[..., ssl.SSLContext],
) -> None:
    certfile, keyfile = write_certificate("127.0.0.1")
    (app_dir / "plugpy.toml").write_text(CONFIGURATION.format(certfile=certfile, keyfile=keyfile))
    running = start("serve", env={"GREETING": "hello"})
    line = running.wait_for(r"serves app:plug on (.*) \(2 workers").group(1)
    plain, secure, unix, admin = line.split(", ")
    ports = [int(re.sub(r".*:", "", url)) for url in (plain, secure, admin)]
    assert (secure.partition(":")[0], unix) == ("https", "unix:app.sock")
    context = client_context()

    def pids() -> set[str]:
        """Which workers answer: many connections, since the kernel spreads them by a hash."""
        found = {ask(ports[0]) for _ in range(20)} | {ask(ports[1], context) for _ in range(20)}
        assert all(pid.isdigit() for pid in found)
        return found

    assert len(pids()) == 2
    assert ask_unix(app_dir / "app.sock") in pids()
    assert ask(ports[2]) == "hello"
    # One less: the other one takes its sockets over, of each listener those of that listener.
    running.signal(signal.SIGTTOU)
    running.wait_for("now 1 worker")
    running.wait_for("stopped")
    assert len(pids()) == 1
    assert {ask(ports[2]) for _ in range(10)} == {"hello"}
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert all(is_free(("127.0.0.1", port)) for port in ports)
    assert not (app_dir / "app.sock").exists()


def test_a_faulty_certificate_is_an_error_of_the_start(start: Any, tmp_path: Path) -> None:
    running = start("serve", "app:plug", "--certfile", "nowhere.pem", "--port", "0")
    assert running.end() == 3
    assert "--certfile: nowhere.pem: No such file or directory" in running.stderr
    assert "Traceback" not in running.stderr


def test_the_configuration_check_reads_certificates(start: Any) -> None:
    running = start("serve", "app:plug", "--certfile", "nowhere.pem", "--check-config")
    assert running.end() == 3
    running = start("serve", "app:plug", "--listen", "https://127.0.0.1:0", "--check-config")
    assert running.end() == 2
    assert "https needs a certfile" in running.stderr


def test_with_workers_too(start: Any) -> None:
    running = start(
        "serve", "app:plug", "--certfile", "nowhere.pem", "--port", "0", "--workers", "2"
    )
    assert running.end() == 3
    assert "nowhere.pem: No such file or directory" in running.stderr
    assert "Traceback" not in running.stderr
