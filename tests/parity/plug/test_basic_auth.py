"""The cases of Plug's test/plug/basic_auth_test.exs."""

import base64

import pytest

from plugpy.conn import Conn
from plugpy.plugs import BasicAuth
from plugpy.plugs.basic_auth import encode_basic_auth, parse_basic_auth, request_basic_auth
from plugpy.testing import conn


def with_authorization(value: str) -> Conn:
    return conn("GET", "/", headers={"authorization": value})


def test_authenticates_valid_user_and_password() -> None:
    c = BasicAuth(username="ann", password="pass")(
        with_authorization(encode_basic_auth("ann", "pass"))
    )
    assert c.status is None
    assert not c.halted


def test_raises_key_error_when_no_options_are_given() -> None:
    with pytest.raises(ValueError, match="needs username and password"):
        BasicAuth()


@pytest.mark.parametrize(("username", "password"), [("ann", "no"), ("no", "pass"), ("", "")])
def test_refutes_invalid_user_and_password(username: str, password: str) -> None:
    c = with_authorization(encode_basic_auth(username, password))
    BasicAuth(username="ann", password="pass")(c)
    assert (c.halted, c.status, c.resp_body) == (True, 401, "Unauthorized")
    assert c.get_resp_header("www-authenticate") == ['Basic realm="Application", charset="UTF-8"']


def test_encodes_the_given_user_and_password() -> None:
    # The example of RFC 7617 section 2.
    assert encode_basic_auth("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_returns_error_with_no_authentication_header() -> None:
    assert parse_basic_auth(conn("GET", "/")) is None


def test_returns_error_with_another_authentication_header() -> None:
    assert parse_basic_auth(with_authorization("Bearer abcdef")) is None


@pytest.mark.parametrize("token", ["abcde", "!!!!", "YTpi====x", "\xff"])
def test_returns_error_with_invalid_base64_token(token: str) -> None:
    assert parse_basic_auth(with_authorization(f"Basic {token}")) is None


def test_returns_error_with_only_username_or_password_in_token() -> None:
    token = base64.b64encode(b"ann").decode()
    assert parse_basic_auth(with_authorization(f"Basic {token}")) is None


@pytest.mark.parametrize("password", ["pass", "a:b:c", "", "pässword"])
def test_returns_username_and_password(password: str) -> None:
    c = with_authorization(encode_basic_auth("ann", password))
    assert parse_basic_auth(c) == ("ann", password)


def test_sets_www_authenticate_header_with_realm_information() -> None:
    def challenge(c: Conn) -> list[str]:
        assert not c.sent
        assert not c.halted
        return c.get_resp_header("www-authenticate")

    assert challenge(request_basic_auth(conn("GET", "/"))) == [
        'Basic realm="Application", charset="UTF-8"'
    ]
    assert challenge(request_basic_auth(conn("GET", "/"), realm='"the \\ "realm"')) == [
        'Basic realm="the  realm", charset="UTF-8"'
    ]
