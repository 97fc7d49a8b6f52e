"""Templates: pages by Jinja2, for `conn.render`."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from plugpy.conn import Conn, UnfetchedError
from plugpy.conn.rendering import RENDERER
from plugpy.plugs.csrf_protection import get_csrf_token, get_csrf_token_for
from plugpy.plugs.file_types import content_type_of
from plugpy.plugs.flash import get_flash

if TYPE_CHECKING:
    from jinja2 import BaseLoader, Environment, Template

PLAIN: Final = frozenset({".csv", ".ics", ".md", ".text", ".txt"})
"""Endings of templates that are no markup: nothing in them is escaped."""

OWN_ENDINGS: Final = frozenset({".j2", ".jinja", ".jinja2"})
"""Endings that say no more than that it is a template: "page.html.j2" is HTML."""

PIECE: Final = 64
"""Parts of a template that `stream_template` sends as one chunk."""

Folders = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Templates:
    """Makes `conn.render("page.html", user=user)` work.

    Options:
      folder        folder with the templates, or a list of them: the first that has one wins
      loader        in place of it, a loader of Jinja2
      environment   in place of both, a jinja2.Environment of your own, with its own settings: what
                    is said below of escaping and missing names is then its business
      filters       name -> function, over Jinja2's own
      globals_      name -> value that every template sees
      reload        True: a template that has changed on disk is read again
      strict        True: a name that nothing was given for raises; False: it is ""

    A template sees `conn.assigns`, over them what `render` is given, over both `conn`; and the
    functions `csrf_token()`, `csrf_token_for(url)` and `get_flash(kind)`. What is shown is escaped,
    but in names that end with .txt, .text, .csv, .md or .ics. The content-type is that of the
    ending, of which .j2, .jinja and .jinja2 don't count. Templates are code: never take one, or the
    name of one, from users.

    It needs `pip install "plugpy[templates]"`. Place it before the plugs that render. Raises
    ImportError without Jinja2, ValueError for a folder that does not exist, TypeError unless there
    is one of folder, loader and environment.

    >>> from jinja2 import DictLoader
    >>> from plugpy.testing import conn
    >>> templates = Templates(loader=DictLoader({"page.html": "<p>{{ name }}</p>"}))
    >>> templates(conn("GET", "/")).render("page.html", name="<Ann>").resp_body
    '<p>&lt;Ann&gt;</p>'
    """

    __slots__ = ("_environment",)

    def __init__(
        self,
        folder: Folders | None = None,
        *,
        loader: "BaseLoader | None" = None,
        environment: "Environment | None" = None,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        globals_: Mapping[str, Any] | None = None,
        reload: bool = True,
        strict: bool = True,
    ) -> None:
        try:
            import jinja2
        except ImportError as error:
            raise ImportError(
                'templates need the package jinja2: pip install "plugpy[templates]"', name="jinja2"
            ) from error
        if (folder is not None) + (loader is not None) + (environment is not None) != 1:
            raise TypeError("Templates takes one of folder, loader and environment")
        if folder is not None:
            loader = jinja2.FileSystemLoader(_checked(folder))
        if environment is None:
            environment = jinja2.Environment(
                loader=loader,
                autoescape=escapes,
                auto_reload=reload,
                undefined=jinja2.StrictUndefined if strict else jinja2.Undefined,
            )
        for name, function in _functions().items():
            environment.globals.setdefault(name, function)
        environment.globals.update(globals_ or {})
        environment.filters.update(filters or {})
        self._environment = environment

    def __call__(self, conn: Conn) -> Conn:
        conn.private[RENDERER] = self
        return conn

    def render(self, conn: Conn, template: str, assigns: Mapping[str, Any]) -> tuple[str, str]:
        """The content-type and the text of a template (plugpy.conn.rendering.Renderer)."""
        found = self.find(template)
        return content_type(template), found.render(context_of(conn, assigns))

    def find(self, template: str) -> "Template":
        """The template of this name. Raises jinja2.TemplateNotFound, which says where it was looked
        for, and jinja2.TemplateSyntaxError."""
        from jinja2 import TemplateNotFound

        try:
            return self._environment.get_template(template)
        except TemplateNotFound as error:
            folders = getattr(self._environment.loader, "searchpath", None)
            if folders:
                error.add_note(f"looked for in {', '.join(map(str, folders))}")
            raise


async def stream_template(conn: Conn, template: str, /, **assigns: Any) -> Conn:
    """As `conn.render`, but the page leaves in chunks while it is made: `conn.send_chunked`.

    For pages that take long. An error in the middle breaks the connection off, since the status has
    left already. Needs the plug Templates. Raises UnfetchedError without, ClientDisconnected,
    AlreadySentError.
    """
    templates = conn.private.get(RENDERER)
    if not isinstance(templates, Templates):
        raise UnfetchedError(f"stream_template needs the plug Templates, got {templates!r}")
    stream = templates.find(template).stream(context_of(conn, assigns))
    stream.enable_buffering(PIECE)
    if not conn.get_resp_header("content-type"):
        conn.put_resp_header("content-type", content_type(template))
    conn.send_chunked(200 if conn.status is None else conn.status)
    for piece in stream:
        await conn.chunk(piece)
    return conn


def context_of(conn: Conn, assigns: Mapping[str, Any]) -> dict[str, Any]:
    """What a template sees beside the globals."""
    return {**conn.assigns, **assigns, "conn": conn}


def escapes(template: str | None) -> bool:
    """Whether what is shown in a template is escaped as HTML.

    >>> [escapes(name) for name in ("page.html", "mail.txt", "mail.txt.j2", "feed", None)]
    [True, False, False, True, True]
    """
    return template is None or _ending(template) not in PLAIN


def content_type(template: str) -> str:
    """The content-type of what a template makes; HTML for names without an ending.

    >>> content_type("feeds/news.xml.j2")
    'text/xml; charset=utf-8'
    """
    return content_type_of(_ending(template) or ".html")


def _ending(template: str) -> str:
    path = PurePosixPath(template)
    if path.suffix.lower() in OWN_ENDINGS:
        path = PurePosixPath(path.stem)
    return path.suffix.lower()


def _checked(folder: Folders) -> list[str]:
    folders = [folder] if isinstance(folder, str | os.PathLike) else list(folder)
    found = [os.path.abspath(os.fspath(one)) for one in folders]
    for one in found:
        if not os.path.isdir(one):
            raise ValueError(f"there is no folder {one} with templates")
    if not found:
        raise ValueError("folder names no folder")
    return found


def _functions() -> dict[str, Any]:
    """Functions that templates may call."""
    from jinja2 import pass_context
    from jinja2.runtime import Context

    @pass_context
    def csrf_token(context: Context) -> str:
        return get_csrf_token(context["conn"])

    @pass_context
    def csrf_token_for(context: Context, url: str) -> str:
        return get_csrf_token_for(context["conn"], url)

    @pass_context
    def flash(context: Context, kind: str | None = None) -> Any:
        return get_flash(context["conn"], kind)

    return {"csrf_token": csrf_token, "csrf_token_for": csrf_token_for, "get_flash": flash}
