"""What the grid is made of: frameworks, behaviours, and which of them a framework does not have.

`python tests/grid/grid.py` writes the table of docs/reference/frameworks.md.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

APPS: Final = Path(__file__).parent / "apps"

SPACE: Final = "<!-- the grid -->"
"""Stands before and after the table in the page."""


class Column(NamedTuple):
    """A framework: its name, the package that must be installed, where its example is, and what
    that is called as."""

    name: str
    package: str
    file: str
    attribute: str
    interface: str

    @property
    def missing(self) -> bool:
        """Whether it is not installed."""
        return importlib.util.find_spec(self.package) is None

    def load(self, *, fresh: bool = False) -> tuple[ModuleType, Any]:
        """The module of the example, and the application in it. fresh: another one, as Quart's can
        be started once only; Django can be set up once only, and starts nothing."""
        name = f"grid_{self.file}"
        module = sys.modules.get(name) if not fresh or self.package == "django" else None
        if module is None:
            spec = importlib.util.spec_from_file_location(name, APPS / f"{self.file}.py")
            assert spec is not None
            assert spec.loader is not None
            module = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        return module, getattr(module, self.attribute)


COLUMNS: Final = (
    Column("Starlette", "starlette", "starlette_app", "application", "ASGI"),
    Column("FastAPI", "fastapi", "fastapi_app", "application", "ASGI"),
    Column("Litestar", "litestar", "litestar_app", "application", "ASGI"),
    Column("Quart", "quart", "quart_app", "application", "ASGI"),
    Column("Django (ASGI)", "django", "django_app", "asgi", "ASGI"),
    Column("Django (WSGI)", "django", "django_app", "wsgi", "WSGI"),
    Column("Flask", "flask", "flask_app", "application", "WSGI"),
)

BEHAVIOURS: Final = {
    "get": "GET, a page of text",
    "query": "the query string, decoded",
    "json": "POST of JSON, answered with 201",
    "form": "POST of a form",
    "upload": "upload of a file by multipart/form-data",
    "stream": "a response that is sent while it is made",
    "read": "a request body that is read while it comes",
    "chunked": "the same without Content-Length",
    "cookies": "cookies, both ways",
    "redirect": "a redirect",
    "missing": "404 for a path that it does not have",
    "error": "500 for an exception, without its text; the next request is served",
    "head": "HEAD",
    "large": "5 MB, both ways",
    "file": "a file",
    "keep_alive": "many requests on one connection",
    "lifespan": "start and end, with state",
    "background": "work after the response",
    "disconnect": "a client that leaves in the middle of a stream",
    "root_path": "mounted below a path of a router: its URLs have it",
    "websocket": "WebSocket echo, also mounted below a path",
    "refused": "a WebSocket connection that is refused",
    "gone": "a WebSocket client that is gone without a word",
}
"""Name of the test (`test_<name>`) -> what it shows."""

WHOLE_BODY = "its ASGI handler waits for the whole body"
NO_LIFESPAN = "it has no start and no end"
NO_BACKGROUND = "it has none"
NO_WEBSOCKET = "it has none without a further library"

NOT_HAD: Final = {
    ("Django (ASGI)", "read"): WHOLE_BODY,
    ("Django (ASGI)", "chunked"): WHOLE_BODY,
    ("Django (WSGI)", "chunked"): "it reads no more than 64 KB of a body without Content-Length",
    ("Django (ASGI)", "lifespan"): NO_LIFESPAN,
    ("Django (WSGI)", "lifespan"): NO_LIFESPAN,
    ("Flask", "lifespan"): NO_LIFESPAN,
    ("Django (ASGI)", "background"): NO_BACKGROUND,
    ("Django (WSGI)", "background"): NO_BACKGROUND,
    **{
        (name, behaviour): NO_WEBSOCKET
        for name in ("Django (ASGI)", "Django (WSGI)", "Flask")
        for behaviour in ("websocket", "refused", "gone")
    },
}
"""(column, behaviour) -> why it is not among what the framework does."""


def table() -> str:
    """The table of the page, in Markdown."""
    reasons = list(dict.fromkeys(NOT_HAD.values()))
    lines = [
        "| " + " | ".join(["", *(column.name for column in COLUMNS)]) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for behaviour, text in BEHAVIOURS.items():
        cells = [text]
        for column in COLUMNS:
            reason = NOT_HAD.get((column.name, behaviour))
            cells.append("yes" if reason is None else f"({reasons.index(reason) + 1})")
        lines.append("| " + " | ".join(cells) + " |")
    notes = [f"({number}) {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join([*lines, "", "; ".join(notes) + ".", ""])


def page() -> Path:
    """Where the table is shown."""
    return Path(__file__).parents[2] / "docs" / "reference" / "frameworks.md"


def main() -> None:
    """Write the table into the page."""
    before, _, rest = page().read_text().partition(SPACE)
    after = rest.partition(SPACE)[2]
    page().write_text(f"{before}{SPACE}\n\n{table()}\n{SPACE}{after}")


if __name__ == "__main__":
    main()
