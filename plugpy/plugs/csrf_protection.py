"""CSRFProtection: requests that change something must come from our own pages
(Plug.CSRFProtection)."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from typing import ClassVar, Final, Literal
from urllib.parse import urlsplit

from plugpy.conn import Conn, ConnError, PlugError

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1), so that nobody gains by forging them."""

TOKEN_SIZE: Final = 18
"""Random bytes of a token."""

SESSION_KEY: Final = "plug_csrf_session_key"
"""Where `private` says under which key the session keeps the token."""

_JAVASCRIPT = re.compile(r"(text|application)/(x-)?(java|ecma)script\b", re.IGNORECASE)


class InvalidCSRFTokenError(ConnError):
    """The token is missing or wrong: the form was not ours, is of another session, or too old; or
    the page did not send it, as `_csrf_token` in the body or in the header x-csrf-token."""

    status = 403


class InvalidCrossOriginRequestError(ConnError):
    """JavaScript was about to be sent to a page of another site: send x-requested-with:
    XMLHttpRequest, or set conn.private["plug_skip_csrf_protection"]."""

    status = 403


class CSRFProtection:
    """Refuses POST, PUT, PATCH, DELETE and others by 403 without the token of the session.

    Options:
      session_key      where the session keeps the token, "_csrf_token"
      with_            "exception": raise InvalidCSRFTokenError; "clear_session": go on with an
                       empty session
      allow_hosts      hosts whose tokens of `get_csrf_token_for` are taken too: "example.com",
                       ".example.com" with all subdomains; ()
      fetch_metadata   True: what browsers mark as sent by another site's page (Sec-Fetch-Site:
                       cross-site) is refused even with a token

    The token comes as body parameter `_csrf_token` or in the header x-csrf-token;
    `get_csrf_token(conn)` gives it to templates. JavaScript that answers a GET is refused where the
    request was not an XMLHttpRequest: any site could embed it. A plug before this one may set
    `conn.private["plug_skip_csrf_protection"]`, for requests that prove who they are otherwise.
    Place it after Session and Parsers. Raises ValueError for other values of with_.

    >>> from plugpy.plugs.session import MemoryStore, Session
    >>> from plugpy.testing import conn
    >>> form = Session(store=MemoryStore(), key="_app")(conn("POST", "/"))
    >>> CSRFProtection(with_="clear_session")(form).get_session()
    {}
    """

    __slots__ = ("_allow_hosts", "_fetch_metadata", "_session_key", "_with")
    runs_after = ("Parsers", "Session")
    better_after: ClassVar = {"RewriteOn": "the host that it compares with is the proxy's then"}
    needs: ClassVar = {"Session": "there is nowhere to keep the token, so requests fail"}

    def __init__(
        self,
        *,
        session_key: str = "_csrf_token",
        with_: Literal["exception", "clear_session"] = "exception",
        allow_hosts: Collection[str] = (),
        fetch_metadata: bool = True,
    ) -> None:
        if with_ not in ("exception", "clear_session"):
            raise ValueError(f"with_ is 'exception' or 'clear_session', got {with_!r}")
        if isinstance(allow_hosts, str):
            raise ValueError("allow_hosts takes a list of hosts, not one")
        self._session_key = session_key
        self._with = with_
        self._allow_hosts = tuple(host.lower() for host in allow_hosts)
        self._fetch_metadata = fetch_metadata

    def __call__(self, conn: Conn) -> Conn:
        conn.private[SESSION_KEY] = self._session_key
        skipped = bool(conn.private.get("plug_skip_csrf_protection"))
        if not skipped and conn.method not in SAFE_METHODS and not self._is_ours(conn):
            if self._with == "exception":
                raise InvalidCSRFTokenError()
            conn.configure_session(renew=True)
            conn.clear_session()
        if conn.method == "GET" and not skipped:
            conn.register_before_send(_refuse_foreign_javascript)
        return conn

    def _is_ours(self, conn: Conn) -> bool:
        if self._fetch_metadata and "cross-site" in conn.get_req_header("sec-fetch-site"):
            return False
        kept = _decode(conn.get_session(self._session_key))
        if kept is None:
            return False
        return any(self._is_valid(conn, kept, sent) for sent in _sent_tokens(conn))

    def _is_valid(self, conn: Conn, kept: bytes, sent: str) -> bool:
        masked, dot, encoded_host = sent.partition(".")
        expected = kept
        if dot:
            host = (_decode_any(encoded_host) or b"").decode("utf-8", "replace")
            if host != conn.host and not any(
                host == allowed.removeprefix(".")
                or (allowed.startswith(".") and host.endswith(allowed))
                for allowed in self._allow_hosts
            ):
                return False
            expected = _bound(kept, host)
        unmasked = _unmask(masked)
        return unmasked is not None and hmac.compare_digest(unmasked, expected)


def get_csrf_token(conn: Conn) -> str:
    """The token for forms and scripts of this session; it looks different in each response, so
    that compression can't give it away (BREACH).

    Raises PlugError without CSRFProtection, UnfetchedError without a session.
    Source: Plug.CSRFProtection.get_csrf_token/0.
    """
    return _mask(_token(conn))


def get_csrf_token_for(conn: Conn, url: str) -> str:
    """The token for a form that is sent to `url`: on another host it is worth nothing here.

    url: a path, or a whole URL. Source: Plug.CSRFProtection.get_csrf_token_for/1.
    """
    host = urlsplit(url).hostname
    if host is None or host == conn.host:
        return get_csrf_token(conn)
    return f"{_mask(_bound(_token(conn), host))}.{_encode(host.encode())}"


def valid_csrf_token(kept: object, token: str) -> bool:
    """Whether `token`, as `get_csrf_token` gives it, belongs to what a session keeps; for places
    that no CSRFProtection sees, such as the parameters that a WebSocket is opened with.

    kept: `conn.get_session("_csrf_token")`, None where there is none. A token for another host is
    never valid here. Source: Plug.CSRFProtection.valid_state_and_csrf_token?/2.
    """
    expected, unmasked = _decode(kept), _unmask(token)
    return expected is not None and unmasked is not None and hmac.compare_digest(unmasked, expected)


def delete_csrf_token(conn: Conn) -> None:
    """Forget the token: call it when a user logs in (Plug.CSRFProtection.delete_csrf_token/0)."""
    conn.delete_session(_key(conn))


def _key(conn: Conn) -> str:
    key: str | None = conn.private.get(SESSION_KEY)
    if key is None:
        raise PlugError("there is no CSRF token: put CSRFProtection before this plug")
    return key


def _token(conn: Conn) -> bytes:
    key = _key(conn)
    kept = _decode(conn.get_session(key))
    if kept is None:
        kept = secrets.token_bytes(TOKEN_SIZE)
        conn.put_session(key, _encode(kept))
    return kept


def _sent_tokens(conn: Conn) -> list[str]:
    sent = conn.get_req_header("x-csrf-token")
    if conn.body_params_fetched:
        field = conn.body_params.get("_csrf_token")
        if isinstance(field, str):
            sent = [field, *sent]
    return sent[:2]


def _refuse_foreign_javascript(conn: Conn) -> Conn:
    kind = conn.get_resp_header("content-type")
    if (
        kind
        and _JAVASCRIPT.match(kind[0])
        and conn.get_req_header("x-requested-with") != ["XMLHttpRequest"]
        and not conn.private.get("plug_skip_csrf_protection")
    ):
        raise InvalidCrossOriginRequestError()
    return conn


def _bound(token: bytes, host: str) -> bytes:
    return hmac.digest(token, host.encode(), hashlib.sha256)[:TOKEN_SIZE]


def _mask(token: bytes) -> str:
    mask = secrets.token_bytes(TOKEN_SIZE)
    return _encode(mask + _xor(token, mask))


def _unmask(text: str) -> bytes | None:
    both = _decode_any(text)
    if both is None or len(both) != 2 * TOKEN_SIZE:
        return None
    return _xor(both[TOKEN_SIZE:], both[:TOKEN_SIZE])


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(left, right, strict=True))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: object) -> bytes | None:
    data = _decode_any(text) if isinstance(text, str) else None
    return data if data is not None and len(data) == TOKEN_SIZE else None


def _decode_any(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
