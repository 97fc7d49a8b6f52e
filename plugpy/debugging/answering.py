"""The answer to a failure while developing: in the format that the client asks for."""

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from plugpy.conn import Conn, MethodNotAllowedError
from plugpy.conn.media_type import elements, media_type
from plugpy.conn.starting_over import start_over
from plugpy.debugging.actions import Button, buttons
from plugpy.debugging.editor import editor_of_environment
from plugpy.debugging.markdown import markdown
from plugpy.debugging.page import page
from plugpy.debugging.problem import problem
from plugpy.debugging.redaction import Redaction
from plugpy.debugging.report import PLAIN, report
from plugpy.debugging.style import Style

Banner = Callable[[Conn, int, Exception], Any]
"""Gives what stands above the frames: text, or HTML where it has `__html__`."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """What a report shows, and how. editor None: that of PLUG_EDITOR. action_hosts: hosts beside
    this machine's own names on which actions are offered; None: they are not."""

    redaction: Redaction = PLAIN
    root: str | None = None
    show_locals: bool = True
    style: Style = field(default_factory=Style)
    banner: Banner | None = None
    editor: str | None = None
    action_hosts: Collection[str] | None = None


PLAIN_APPEARANCE = Appearance()


def answer_with_report(
    conn: Conn, error: Exception, appearance: Appearance = PLAIN_APPEARANCE
) -> Conn:
    """Send the report of `error` with its status; the response must not have begun.

    HTML to who accepts it, problem+json (RFC 9457) to who asks for JSON, else Markdown. Raises
    what a before_send callback, `banner` or `actions` of the exception raise.
    """
    made = report(
        conn,
        error,
        redaction=appearance.redaction,
        root=appearance.root,
        show_locals=appearance.show_locals,
    )
    kind = wanted(conn)
    nonce = secrets.token_urlsafe(16)
    body: str | bytes
    if kind == "html":
        hosts = appearance.action_hosts
        offered: list[Button] = [] if hosts is None else list(buttons(conn, error, hosts))
        banner = appearance.banner(conn, made.status, error) if appearance.banner else None
        editor = appearance.editor or editor_of_environment()
        content_type = "text/html; charset=utf-8"
        body = page(
            made,
            nonce=nonce,
            style=appearance.style,
            banner=banner,
            editor=editor,
            buttons=offered,
        )
    elif kind == "json":
        content_type, body = "application/problem+json", problem(made)
    else:
        content_type, body = "text/markdown; charset=utf-8", markdown(made)
    if isinstance(body, str):
        body = body.encode("utf-8", "backslashreplace")
    start_over(conn)
    # The application's policy is meant for its own pages; this one brings its own.
    conn.delete_resp_header("content-security-policy")
    conn.delete_resp_header("content-security-policy-report-only")
    if kind == "html":
        conn.put_resp_header("content-security-policy", _policy(nonce))
    conn.put_resp_header("content-type", content_type)
    conn.put_resp_header("x-content-type-options", "nosniff")
    conn.put_resp_header("cache-control", "no-store")
    if isinstance(error, MethodNotAllowedError) and error.allow:
        conn.put_resp_header("allow", ", ".join(error.allow))
    return conn.send_resp(made.status, body)


def wanted(conn: Conn) -> str:
    """ "html", "json" or "markdown", by the request's accept header.

    Who names JSON and takes HTML only as part of */* gets JSON; who takes anything gets HTML.
    """
    accepted = set()
    for element in elements(",".join(conn.get_req_header("accept"))):
        found = media_type(element)
        if found is not None and found.params.get("q", "1").rstrip("0.") != "":
            accepted.add(f"{found.type}/{found.subtype}")
    if not accepted.isdisjoint({"text/html", "application/xhtml+xml", "text/*"}):
        return "html"
    if any(name == "application/json" or name.endswith("+json") for name in accepted):
        return "json"
    return "html" if "*/*" in accepted else "markdown"


def _policy(nonce: str) -> str:
    """Nothing but the page's own style and script, whatever has got into it."""
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "img-src 'self' data: https: http:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
