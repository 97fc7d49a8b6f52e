"""`conn`: a Conn without a server (Plug.Test.conn/3)."""

from collections.abc import Mapping, Sequence
from typing import Any

from plugpy.conn import Conn, RequestHead
from plugpy.conn.query import encode
from plugpy.testing.adapter import TestAdapter
from plugpy.testing.bodies import File, form_body, json_body, multipart_body

_UNSET: Any = object()


def conn(
    method: str = "GET",
    path: str = "/",
    body: str | bytes = b"",
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    *,
    params: Mapping[str, Any] | None = None,
    json: Any = _UNSET,
    form: Mapping[str, Any] | None = None,
    files: Mapping[str, File | list[File]] | None = None,
    cookies: Mapping[str, str] | None = None,
    body_params: dict[str, Any] | None = None,
    **adapter_options: Any,
) -> Conn:
    """A Conn to hand to any plug, without a server (Plug.Test.conn/3).

    path: starts with "/", may have a query. headers: dict or pairs; the host is www.example.com
    unless a host header is given. params: dict that becomes (or is appended to) the query, for
    every method. cookies: name -> value, sent as one Cookie header.

    The body is one of: body, str (UTF-8) or bytes; json, anything that JSON holds; form, a dict,
    sent urlencoded; files, name -> bytes, str, Path, (name, content) or (name, content, type), or
    a list of these, sent as multipart/form-data together with `form`. The last three come with
    their content-type, unless headers have one. body_params: what a parser would have made of a
    body, for plugs that are tested without one.

    Further options go to TestAdapter: scheme "http", peer, sock, http_protocol "HTTP/1.1",
    body_limit 8,000,000 bytes, piece_size 65,536 bytes, secret_key_base.
    What was sent is read by `sent_resp(conn)` and its kin.
    Raises ValueError for a path that does not start with "/" or several bodies at once.

    >>> conn("POST", "/search?page=2", params={"q": "a b"}, form={"x": 1}).query_params
    {'page': '2', 'q': 'a b'}
    """
    if not path.startswith("/"):
        raise ValueError(f"the path of a test conn starts with '/', got {path!r}")
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("host", "www.example.com"))
    target, _, query = path.partition("?")
    if params:
        query = f"{query}&{encode(params)}" if query else encode(params)
    is_form = form is not None or files is not None
    if bool(body) + (json is not _UNSET) + is_form > 1:
        raise ValueError("a test conn has one body: give one of body, json, and form with files")
    data, content_type = body.encode() if isinstance(body, str) else body, ""
    if json is not _UNSET:
        data, content_type = json_body(json)
    elif files is not None:
        data, content_type = multipart_body(form or {}, files)
    elif form is not None:
        data, content_type = form_body(form)
    if content_type and "content-type" not in names:
        pairs.append(("content-type", content_type))
    if cookies:
        pairs.append(("cookie", "; ".join(f"{key}={value}" for key, value in cookies.items())))
    head = RequestHead.from_headers(method.upper(), target, query, pairs)
    made = Conn(TestAdapter(data, **adapter_options), head)
    if body_params is not None:
        made.body_params = body_params
    return made
