"""BasicAuth: a name and a password for simple needs (Plug.BasicAuth, RFC 7617)."""

import base64
import binascii
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from plugpy.conn import Conn
from plugpy.conn.crypto import secure_compare


class Credentials(NamedTuple):
    """What the client sent: both may be empty."""

    username: str
    password: str


class BasicAuth:
    """Answers 401 to requests without the right name and password, and halts.

    Options:
      username, password   what is right; both are compared in constant time
      verify               in place of them, a function (username, password) -> bool that compares
                           by itself: use plugpy.conn.crypto.secure_compare, or a password hash
      realm                what the browser shows, "Application"

    Browsers send the password with each request, in the clear: use it over https only. For more
    than one plain password write a plug with the functions of this file. Raises ValueError for
    options that leave open who may enter.

    >>> from plugpy.testing import conn
    >>> guard = BasicAuth(username="ann", password="secret")
    >>> guard(conn("GET", "/")).status
    401
    >>> header = encode_basic_auth("ann", "secret")
    >>> guard(conn("GET", "/", headers={"authorization": header})).halted
    False
    """

    __slots__ = ("_realm", "_verify")
    better_before: ClassVar = {"Parsers": "bodies of requests that it refuses are read first"}

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        verify: Callable[[str, str], bool] | None = None,
        realm: str = "Application",
    ) -> None:
        if verify is None:
            if not username or not password:
                raise ValueError(
                    "BasicAuth needs username and password, neither of them empty, or verify"
                )
            verify = _comparing(username, password)
        elif username is not None or password is not None:
            raise ValueError("BasicAuth takes username and password, or verify, not both")
        self._verify = verify
        self._realm = realm

    def __call__(self, conn: Conn) -> Conn:
        sent = parse_basic_auth(conn)
        if sent is not None and self._verify(sent.username, sent.password):
            return conn
        return request_basic_auth(conn, realm=self._realm).send_resp().halt()


def _comparing(username: str, password: str) -> Callable[[str, str], bool]:
    def verify(given_username: str, given_password: str) -> bool:
        # Both always: how long it takes must not tell that the name was right.
        right_name = secure_compare(given_username, username)
        right_password = secure_compare(given_password, password)
        return right_name and right_password

    return verify


def parse_basic_auth(conn: Conn) -> Credentials | None:
    """Name and password of the request; None when there are none, or they can't be understood.

    Source: Plug.BasicAuth.parse_basic_auth/1.
    """
    sent = conn.get_req_header("authorization")
    if len(sent) != 1:
        return None
    scheme, _, token = sent[0].partition(" ")
    if scheme.lower() != "basic":  # RFC 9110 section 11.1: in any case
        return None
    try:
        text = base64.b64decode(token.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    username, colon, password = text.partition(":")
    return Credentials(username, password) if colon else None


def encode_basic_auth(username: str, password: str) -> str:
    """The value of the authorization header. Raises ValueError for a colon in the name.

    Source: Plug.BasicAuth.encode_basic_auth/2.
    """
    if ":" in username:
        raise ValueError("the name of basic authentication can't hold a colon (RFC 7617)")
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def request_basic_auth(conn: Conn, *, realm: str = "Application") -> Conn:
    """Set a 401 that asks for name and password; it is not sent, and does not halt.

    Source: Plug.BasicAuth.request_basic_auth/2.
    """
    quoted = realm.replace("\\", "").replace('"', "")
    conn.put_resp_header("www-authenticate", f'Basic realm="{quoted}", charset="UTF-8"')
    return conn.resp(401, "Unauthorized")
