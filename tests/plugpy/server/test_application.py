"""Import strings and what they may name."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugpy.server import Server
from plugpy.server.application import Loaded, load
from plugpy.server.errors import ApplicationError, ConfigurationError

Load = Callable[..., Loaded]

MODULE = """
import functools

class Settings:
    pass

class HelloPlug:
    def __call__(self, conn):
        return conn

class NeedsArgument:
    def __init__(self, name):
        self.name = name
    def __call__(self, conn):
        return conn

def plug(conn):
    return conn

async def async_plug(conn):
    return conn

def plug_with_options(conn, options=None):
    return conn

async def asgi(scope, receive, send):
    pass

class Asgi:
    async def __call__(self, scope, receive, send):
        pass

class Asgi2:
    def __call__(self, scope):
        pass

def wrapped(function):
    @functools.wraps(function)
    async def call(*args, **kwargs):
        return await function(*args, **kwargs)
    return call

decorated_asgi = wrapped(asgi)

def wsgi(environ, start_response):
    return []

class Wsgi:
    def __call__(self, environ, start_response):
        return []

class WsgiIterable:
    def __init__(self, environ, start_response):
        pass

    def __iter__(self):
        return iter([])

def factory():
    return plug

async def async_factory():
    return plug

def broken_factory():
    raise RuntimeError("no database")

def many(a, b, c, d):
    pass

def plug_of_two(conn, realm):
    pass

class Nested:
    class Inner:
        plug = staticmethod(plug)

number = 42
nothing = None
"""


@pytest.fixture
def app_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder with a module `sample`; what is imported from it is forgotten afterwards."""
    (tmp_path / "sample.py").write_text(MODULE)
    before, path = set(sys.modules), list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.startswith(("sample", "broken", "deep")):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("target", "interface"),
    [
        ("sample:plug", "plug"),
        ("sample:async_plug", "plug"),
        ("sample:plug_with_options", "plug"),
        ("sample:HelloPlug", "plug"),
        ("sample:Nested.Inner.plug", "plug"),
        ("sample:asgi", "asgi"),
        ("sample:Asgi", "asgi"),
        ("sample:decorated_asgi", "asgi"),
        ("sample:wsgi", "wsgi"),
        ("sample:Wsgi", "wsgi"),
        ("sample:WsgiIterable", "wsgi"),
    ],
)
def test_what_can_be_served(app_dir: Path, target: str, interface: str) -> None:
    loaded = load(target, app_dir=str(app_dir))
    assert (loaded.interface, loaded.name) == (interface, target)
    assert callable(loaded.application)


def test_a_class_is_instantiated(app_dir: Path) -> None:
    loaded = load("sample:HelloPlug", app_dir=str(app_dir))
    assert type(loaded.application).__name__ == "HelloPlug"


def test_a_factory_is_called(app_dir: Path) -> None:
    loaded = load("sample:factory", app_dir=str(app_dir), factory=True)
    assert loaded.application.__name__ == "plug"


def test_the_interface_can_be_told(app_dir: Path) -> None:
    assert load("sample:plug", app_dir=str(app_dir), interface="asgi").interface == "asgi"
    assert load("sample:plug", app_dir=str(app_dir), interface="wsgi").interface == "wsgi"


def test_an_interface_that_does_not_fit_says_why(app_dir: Path) -> None:
    loaded = load("sample:plug", app_dir=str(app_dir), interface="wsgi")
    with pytest.raises(ApplicationError, match=r"sample:plug: a WSGI application is .* got"):
        Server(loaded)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sample", "'sample' is not an import string; write it as module:attribute"),
        ("sample.plug", "did you mean 'sample:plug'"),
        ("sample.py", "did you mean 'sample:Router'.*a module, not a file"),
        ("src/sample.py:plug", "did you mean 'src.sample:plug'"),
        (":plug", "is not an import string"),
        ("sample:", "is not an import string"),
        ("", "is not an import string"),
    ],
)
def test_what_is_no_import_string_is_wrong_usage(app_dir: Path, target: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        load(target, app_dir=str(app_dir))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("smaple:plug", "there is no module 'smaple' in .*; did you mean 'sample'"),
        ("sample.sub:plug", "there is no module"),
        ("sample:plgu", "sample has no attribute 'plgu'; did you mean 'plug'"),
        ("sample:zzz", "sample has no attribute 'zzz'; it defines .*HelloPlug"),
        ("sample:Nested.Iner", "sample:Nested has no attribute 'Iner'; did you mean 'Inner'"),
        ("sample:number", "sample:number is an int; an application is a Router, a plug"),
        ("sample:nothing", "sample:nothing is None"),
        ("sample:functools", "is the module 'functools'"),
        ("sample:Settings", "is the class 'Settings', whose instances can't be called"),
        ("sample:NeedsArgument", "the class sample:NeedsArgument raised:(.|\n)*argument: 'name'"),
        ("sample:Asgi2", "as an ASGI 2 application does"),
        ("sample:factory", "is it a factory.*--factory"),
        ("sample:many", "sample:many takes 4 arguments"),
        ("sample:plug_of_two", "is a plug that takes 2 arguments"),
    ],
)
def test_what_can_not_be_served_says_why(app_dir: Path, target: str, message: str) -> None:
    with pytest.raises(ApplicationError, match=message) as caught:
        load(target, app_dir=str(app_dir))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sample:number", "is an int, but with --factory it must be a function"),
        ("sample:async_factory", "is an async function"),
        ("sample:broken_factory", "the factory sample:broken_factory raised:(.|\n)*no database"),
    ],
)
def test_what_is_no_factory_says_why(app_dir: Path, target: str, message: str) -> None:
    with pytest.raises(ApplicationError, match=message):
        load(target, app_dir=str(app_dir), factory=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import json\njson.loads('{')", "json.decoder.JSONDecodeError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import nothing_like_it", "No module named 'nothing_like_it'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
    ],
)
def test_an_error_on_import_is_shown_with_the_users_frames_only(
    app_dir: Path, source: str, message: str
) -> None:
    (app_dir / "broken.py").write_text(f"# first line\n{source}\n")
    with pytest.raises(ApplicationError) as caught:
        load("broken:plug", app_dir=str(app_dir))
    text = str(caught.value)
    assert text.startswith("importing broken raised:\n")
    assert message in text
    assert "broken.py" in text
    assert "importlib" not in text
    assert "plugpy" not in text


def test_a_module_that_is_missing_further_down_is_not_taken_for_ours(app_dir: Path) -> None:
    (app_dir / "deep.py").write_text("import sample.missing\n")
    with pytest.raises(ApplicationError, match="importing deep raised"):
        load("deep:plug", app_dir=str(app_dir))


def test_the_app_dir_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a folder"):
        load("sample:plug", app_dir=str(tmp_path / "missing"))
