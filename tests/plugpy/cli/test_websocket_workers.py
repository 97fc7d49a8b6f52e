"""WebSocket connections of workers that are rolled, seen by `plugpy ctl`, and stopped."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")

APP = """
from plugpy.websocket import Push, Upgrade, WebSocketHandler

class Echo(WebSocketHandler):
    def handle_in(self, message, state):
        return Push(message)

def plug(conn):
    return conn.upgrade_adapter("websocket", Upgrade(Echo()))
"""
HANDSHAKE = (
    b"GET /chat?secret HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def connect(address: tuple[str, int]) -> socket.socket:
    """A client whose handshake was accepted."""
    client = socket.create_connection(address, 20)
    client.sendall(HANDSHAKE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return client


def close_code(client: socket.socket) -> int:
    """Of the close frame that comes; it is answered, and the server hangs up."""
    data = client.recv(4096)
    assert data[0] == 0x88
    client.sendall(b"\x88\x82\0\0\0\0" + data[2:4])
    while client.recv(4096):
        pass
    client.close()
    return int.from_bytes(data[2:4], "big")


def serve(commands: Any, control: Path) -> Any:
    """A master of two workers."""
    (commands.folder / "chat.py").write_text(APP)
    options = ("--port", "0", "--workers", "2", "--control", str(control))
    return commands.start("serve", "chat:plug", *options)


def test_a_roll_says_1012(commands: Any, tmp_path: Path) -> None:
    control = tmp_path / "c.sock"
    master = serve(commands, control)
    client = connect(master.url())
    command = [sys.executable, "-m", "plugpy", "ctl", "--control", str(control), "--json"]
    seen = json.loads(
        subprocess.run([*command, "connections"], capture_output=True, check=True).stdout
    )
    assert "websocket" in json.dumps(seen)
    assert "secret" not in json.dumps(seen)
    master.signal(signal.SIGHUP)
    assert close_code(client) == 1012


def test_a_stop_says_1001(commands: Any, tmp_path: Path) -> None:
    master = serve(commands, tmp_path / "c.sock")
    client = connect(master.url())
    master.signal(signal.SIGTERM)
    assert close_code(client) == 1001
