"""Several listeners in one server."""

import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import acceptors
from plugpy.server import Server
from plugpy.server.errors import ConfigurationError, StartError

WriteCertificate = Callable[..., tuple[str, str]]
ClientContext = Callable[..., ssl.SSLContext]

# several listeners --------------------------------------------------------------------------------


async def test_several_listeners(
    tls: dict[str, Any],
    client_context: ClientContext,
    tmp_path: Path,
    tell: Any,
    exchange: Any,
    facts: Any,
) -> None:
    path = tmp_path / "app.sock"
    listen = [
        "http://127.0.0.1:0",
        "https://localhost:0",
        {"url": f"unix:{path}", "uds-mode": "600", "name": "local", "max-body": "1KB"},
        "http://127.0.0.1:0?name=admin&acceptors=2&app=other_app:app",
    ]
    options = {name: value for name, value in tls.items() if name != "port"}
    options["app_dir"] = str(tmp_path)
    sys.modules.pop("other_app", None)
    (tmp_path / "other_app.py").write_text(
        "def app(conn):\n    return conn.send_resp(200, 'admin')\n"
    )
    async with Server(tell, listen=listen, **options) as server:
        plain, secure, _, admin = server.listeners
        assert [one.ref for one in server.listeners] == ["http", "http-2", "local", "admin"]
        assert server.url == plain.url == f"http://127.0.0.1:{plain.port}"
        assert server.urls == [
            plain.url,
            f"https://localhost:{secure.port}",
            f"unix:{path}",
            f"http://127.0.0.1:{admin.port}",
        ]
        assert (await facts(plain.address))["scheme"] == "http"
        told = await facts(secure.address, context=client_context())
        assert told["scheme"] == "https"
        assert (await facts(str(path)))["peer"] == ["", 0]
        assert path.stat().st_mode & 0o777 == 0o600
        assert (await exchange(admin.address)).endswith(b"\r\n\r\nadmin")
        assert acceptors.info("admin")["acceptors"] == 2
        assert acceptors.info("http")["acceptors"] == 100
        assert acceptors.info("local")["protocol_options"].max_body == 1000
    assert not path.exists()
    for one in (plain, secure, admin):
        with pytest.raises(ConnectionRefusedError):
            await exchange(one.address)


async def test_a_listener_that_can_not_listen_fails_the_start_of_all(tell: Any) -> None:
    async with Server(tell, port=0, access_log=False) as other:
        server = Server(
            tell,
            listen=["http://127.0.0.1:0", f"http://127.0.0.1:{other.port}"],
            access_log=False,
        )
        with pytest.raises(StartError, match=f"127.0.0.1:{other.port} is in use"):
            await server.start()
        assert set(acceptors.info()) == {"http"}
        await server.stop()


async def test_children_of_the_application_of_a_listener(
    tmp_path: Path, tell: Any, exchange: Any
) -> None:
    (tmp_path / "with_children.py").write_text(
        "from acceptors.otp import Agent, whereis\n"
        "from plugpy import Application\n"
        "events = []\n"
        "def plug(conn):\n"
        "    return conn.send_resp(200, str(whereis('of admin') is not None))\n"
        "class Admin(Application):\n"
        "    router = staticmethod(plug)\n"
        "    children = [Agent.child_spec(dict, name='of admin')]\n"
        "    def prep_stop(self): events.append('prep_stop')\n"
        "    def stop(self): events.append('stop')\n"
    )
    listen = ["http://127.0.0.1:0", "http://127.0.0.1:0?app=with_children:Admin"]
    async with Server(tell, listen=listen, app_dir=str(tmp_path), access_log=False) as server:
        assert (await exchange(server.listeners[1].address)).endswith(b"True")
        ids = [one for one, *_ in server.supervisor.which_children()]
        assert ids == ["application-2", "tasks", ("listener", "http"), ("listener", "http-2")]

    assert sys.modules.pop("with_children").events == ["prep_stop", "stop"]


@pytest.mark.parametrize(
    ("listen", "message"),
    [
        ("ftp://127.0.0.1:21", "is not a place to listen"),
        ("127.0.0.1:4000", "is not a place to listen"),
        ("http://127.0.0.1:4000/path", "is not a place to listen"),
        ("http://127.0.0.1:99999", "is not a place to listen"),
        ("http://user@127.0.0.1:4000", "is not a place to listen"),
        ("unix:", "is not a place to listen"),
        ("fd:x", "is not a place to listen"),
        ("http://127.0.0.1:0?certfil=a", "certfil is no option; did you mean 'certfile'"),
        ("http://127.0.0.1:0?workers=2", "workers is no option of one listener"),
        ("http://127.0.0.1:0?keyfile-password=x", "is no option of one listener"),
        ("http://127.0.0.1:0?acceptors=none", "acceptors: 'none' is not a whole number"),
        ("http://127.0.0.1:0?acceptors=1&acceptors=2", "acceptors is given twice"),
        ("http://127.0.0.1:0?certfile=a.pem", "http has no certfile; write https"),
        ([{"port": 4000}], "a table of listen needs a url"),
        ([{"url": "fd:3", "acceptors": {}}], "no value of acceptors"),
        (["http://127.0.0.1:0?name=a", "http://127.0.0.1:0?name=a"], "have the same name"),
    ],
)
async def test_places_that_make_no_sense(listen: Any, message: str, tell: Any) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Server(tell, listen=listen, access_log=False)


async def test_listen_and_the_short_form_exclude_each_other() -> None:
    from plugpy.server.settings import from_arguments, resolve

    with pytest.raises(ConfigurationError, match="exclude each other"):
        from_arguments({"listen": "http://127.0.0.1:0", "uds": "a.sock"})
    with pytest.raises(ConfigurationError, match="--listen and --port exclude each other"):
        resolve(None, {"listen": ["http://127.0.0.1:0"], "port": 1}, {})
    # PORT is set by platforms for every program.
    assert resolve(None, {"listen": ["fd:3"]}, {"PORT": "1"})["listen"] == ("fd:3",)
