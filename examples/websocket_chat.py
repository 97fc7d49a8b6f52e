"""A chat over WebSocket: one page, one room, every connection a process.

    plugpy serve websocket_chat:Chat --app-dir examples

Open http://127.0.0.1:4000 in several windows. Who has joined is kept in a Registry under the key
"room"; to say something is to send a message to each process in it, which arrives in its
`handle_info`. A process that ends is forgotten by the Registry without anybody asking.
"""

from typing import Any, NamedTuple

from acceptors.otp import Registry, send, whereis
from plugpy import Application, Conn, Router, get
from plugpy.websocket import Ok, Push, Stop, Upgrade, WebSocketHandler, WebSocketOptions

LONGEST_NAME = 30
"""Characters."""

OPTIONS = WebSocketOptions(max_message_size=4_000, max_frame_size=4_000)


class Line(NamedTuple):
    """What somebody has said, on its way to everybody."""

    text: str


class Member(WebSocketHandler):
    """One connection. Its state is the name of who talks, "" before the first message gives it."""

    def handle_in(self, message: str | bytes, state: str) -> Any:
        if isinstance(message, bytes):
            return Stop(1003, "text, please")
        if not state:
            name = message.strip()[:LONGEST_NAME]
            if not name:
                return Push("What is your name?")
            room().register("room", name)
            say(f"* {name} has come")
            return Ok(name)
        say(f"{state}: {message}")
        return None

    def handle_info(self, message: Any, state: str) -> Any:
        return Push(message.text) if isinstance(message, Line) else None

    def terminate(self, reason: Any, state: str) -> None:
        if state:
            say(f"* {state} has left")


def room() -> Registry:
    """Who is there."""
    registry = whereis("chat")
    assert isinstance(registry, Registry)
    return registry


def say(text: str) -> None:
    """Send a line to everybody in the room."""
    for process, _ in room().lookup("room"):
        send(process, Line(text))


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Chat</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; }
  #lines { height: 60vh; overflow: auto; border: 1px solid; padding: .5rem; white-space: pre-wrap; }
  form { display: flex; gap: .5rem; margin-top: .5rem; }
  input { flex: 1; font: inherit; }
</style>
<h1>Chat</h1>
<div id="lines" role="log"></div>
<form><input name="text" autocomplete="off" autofocus aria-label="Your name, then what you say"
  placeholder="Your name"><button>Send</button></form>
<script>
  const lines = document.getElementById("lines");
  const form = document.forms[0];
  const show = (text) => {
    lines.append(text + "\\n");
    lines.scrollTop = lines.scrollHeight;
  };
  let socket;
  const connect = () => {
    socket = new WebSocket(location.href.replace(/^http/, "ws") + "room");
    socket.onmessage = (event) => show(event.data);
    socket.onclose = () => {
      show("(connection lost)");
      form.text.placeholder = "Your name";
      setTimeout(connect, 1000 + 4000 * Math.random());
    };
  };
  connect();
  form.onsubmit = (event) => {
    event.preventDefault();
    socket.send(form.text.value);
    form.text.value = "";
    form.text.placeholder = "";
  };
</script>
</html>
"""


class Rooms(Router):
    """The page, and the room behind it."""

    @get("/")
    def page(self, conn: Conn) -> Conn:
        return conn.html(PAGE)

    @get("/room")
    def room(self, conn: Conn) -> Conn:
        return conn.upgrade_adapter("websocket", Upgrade(Member(), "", OPTIONS))


class Chat(Application):
    """The router, and the Registry that it needs."""

    router = Rooms

    def start(self) -> list[Any]:
        return [Registry.child_spec("duplicate", name="chat")]
