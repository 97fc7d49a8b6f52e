"""Debugger: a page for developers about what the plugs behind it raise (Plug.Debugger)."""

import logging
import os
from collections.abc import Awaitable, Collection, Mapping
from typing import Any

from plugpy.conn import ClientDisconnected, Conn, MethodNotAllowedError, NoRouteError, status_of
from plugpy.conn.errors import brings_its_answer
from plugpy.conn.query import decode
from plugpy.debugging.actions import InvalidActionError, is_action, is_known_host, opened
from plugpy.debugging.answering import Appearance, Banner, answer_with_report
from plugpy.debugging.editor import checked_editor
from plugpy.debugging.redaction import Redaction
from plugpy.debugging.style import as_style
from plugpy.pipeline.compiler import Application, trusted

logger = logging.getLogger("plugpy.plugs.debugger")

LONGEST_FORM = 64_000
"""Bytes of the form that a button sends."""


class Debugger:
    """Answers what plugs raise with all that a developer wants to know, and an attacker too.

    Options:
      show_locals   True: the variables of each frame are shown
      secrets       further names whose values are hidden, also as part of a longer name; ()
      root          folder of the application, from which files are named; the current one
      editor        link that opens a line, "vscode://file/__FILE__:__LINE__"; __RELATIVEFILE__ is
                    the file below root. None: the variable PLUG_EDITOR of the environment
      style         dict: primary and accent (colours), logo (URL of an image), dark (True: as the
                    browser asks for)
      banner        function (conn, status, error) -> what stands above the frames: text, or HTML
                    where it has `__html__`
      hosts         further hosts, beside localhost and addresses, on which there are buttons; ()

    For development only: it shows source and variables to whoever can cause an error. Nothing
    turns it on but the one who declares it, so declare it under a condition, around the plugs that
    follow:

        if os.environ.get("APP_ENV") == "development":
            wrap(Debugger)

    HTML goes to who accepts it, problem+json to who asks for JSON, Markdown to others. Values of
    names such as password, token or api_key are hidden at any depth; an exception's message and
    the source are shown as they are. Content-Security-Policy is replaced by the page's own. The
    error is raised again, so that the server logs it, once, if its status is 500 or more; others
    are logged here, at level debug. Nothing is shown once a response has begun; NoRouteError,
    MethodNotAllowedError, ClientDisconnected and errors below 500 that bring their own answer
    (plugpy.api.Problem) go through: nobody is left to be answered, or it is no failure.

    An exception with a method `actions` offers buttons, see plugpy.debugging.Action. They are sent
    to /__plug__/debugger/action, signed, and work for an hour, on this machine's own names and
    `hosts` only: another site's name may be made to lead here.

    >>> from plugpy.pipeline import Pipeline, wrap
    >>> from plugpy.testing import conn
    >>> def crash(conn):
    ...     raise ValueError("no")
    >>> sent = conn("GET", "/", headers={"accept": "text/html"})
    >>> try:
    ...     Pipeline([wrap(Debugger), crash])(sent)
    ... except ValueError:
    ...     print(sent.status, "<h1>ValueError</h1>" in sent.resp_body.decode())
    500 True
    """

    __slots__ = ("_appearance", "_hosts", "_inner", "checks_plugs")
    runs_after = ("ErrorHandler",)

    def __init__(
        self,
        inner: Application,
        *,
        show_locals: bool = True,
        secrets: Collection[str] = (),
        root: str | os.PathLike[str] | None = None,
        editor: str | None = None,
        style: Mapping[str, object] | None = None,
        banner: Banner | None = None,
        hosts: Collection[str] = (),
    ) -> None:
        if not callable(inner):
            raise TypeError("Debugger goes around plugs: declare it by wrap(Debugger)")
        if banner is not None and not callable(banner):
            raise TypeError(f"banner is a function (conn, status, error), got {banner!r}")
        if isinstance(hosts, str):
            raise ValueError("hosts takes a list of names, not one name")
        self._inner = inner
        self._hosts = frozenset(host.lower() for host in hosts)
        self._appearance = Appearance(
            redaction=Redaction(secrets),
            root=None if root is None else os.fspath(root),
            show_locals=show_locals,
            style=as_style(style),
            banner=banner,
            editor=None if editor is None else checked_editor(editor),
            action_hosts=self._hosts,
        )
        trusted(self)

    def __call__(self, conn: Conn) -> Conn | Awaitable[Conn]:
        try:
            result: Any = self._act(conn) if is_action(conn) else self._inner(conn)
        except Exception as error:
            self._answer(conn, error)
            raise
        return result if result is conn else self._wait(conn, result)

    async def _wait(self, conn: Conn, awaitable: Awaitable[Conn]) -> Conn:
        try:
            return await awaitable
        except Exception as error:
            self._answer(conn, error)
            raise

    def _answer(self, conn: Conn, error: Exception) -> None:
        if conn.sent or isinstance(error, _PASSED_ON):
            return
        status = status_of(error)
        if status < 500 and brings_its_answer(error):
            return
        if status < 500:
            # The server says nothing of what is the client's fault.
            logger.debug("%s %s is a %s", conn.method, conn.request_path, status, exc_info=error)
        try:
            answer_with_report(conn, error, self._appearance)
        except Exception:
            # The error itself is what matters: it goes on to the server, which answers.
            logger.exception("the page about %s could not be sent", type(error).__name__)

    async def _act(self, conn: Conn) -> Conn:
        if "cross-site" in conn.get_req_header("sec-fetch-site") or not is_known_host(
            conn, self._hosts
        ):
            raise InvalidActionError()
        form = decode((await conn.body(LONGEST_FORM)).decode("latin-1"))
        token, back = form.get("token"), form.get("last_path")
        function, arguments = opened(conn, token if isinstance(token, str) else "")
        result = function(*arguments)
        if isinstance(result, Awaitable):
            await result
        conn.put_status(303)
        try:
            return conn.redirect(back if isinstance(back, str) else "/")
        except ValueError:  # a path of another site
            return conn.redirect("/")


_PASSED_ON = (ClientDisconnected, MethodNotAllowedError, NoRouteError)
