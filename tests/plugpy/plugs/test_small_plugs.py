"""MethodOverride, BasicAuth, SSL, SecureHeaders, HostAllowlist, CORS."""

from __future__ import annotations

import logging
import re

import pytest

from plugpy.conn import InvalidHeaderError
from plugpy.pipeline import compile_pipeline
from plugpy.plugs import (
    CORS,
    SSL,
    BasicAuth,
    HostAllowlist,
    MethodOverride,
    Parsers,
    SecureHeaders,
)
from plugpy.plugs.basic_auth import Credentials, encode_basic_auth, parse_basic_auth
from plugpy.testing import conn


def header(sent, name):
    values = sent.get_resp_header(name)
    assert len(values) < 2
    return values[0] if values else None


# MethodOverride -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("POST", {"_method": "delete"}, "DELETE"),
        ("POST", {"_method": "PUT"}, "PUT"),
        ("POST", {"_method": "Patch"}, "PATCH"),
        ("POST", {"_method": "GET"}, "POST"),
        ("POST", {"_method": "CONNECT"}, "POST"),
        ("POST", {"_method": ["PUT"]}, "POST"),
        ("POST", {}, "POST"),
        ("POST", None, "POST"),
        ("GET", {"_method": "DELETE"}, "GET"),
        ("PUT", {"_method": "DELETE"}, "PUT"),
    ],
)
def test_the_method_of_a_form(method, params, expected):
    sent = conn(method, "/?_method=DELETE")
    if params is not None:
        sent.body_params = params
    assert MethodOverride()(sent).method == expected


def test_method_override_before_parsers_is_refused_at_start():
    with pytest.raises(ValueError, match="MethodOverride needs Parsers before it"):
        compile_pipeline([MethodOverride(), Parsers(parsers=["json"])])


# BasicAuth ------------------------------------------------------------------------------------


def basic(value):
    return conn("GET", "/", headers={"authorization": value})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (encode_basic_auth("ann", "pass:word"), Credentials("ann", "pass:word")),
        (encode_basic_auth("", ""), Credentials("", "")),
        (encode_basic_auth("\xe4nn", "\u20ac"), Credentials("\xe4nn", "\u20ac")),
        ("bAsIc YTpi", Credentials("a", "b")),
        ("Basic YWI=", None),  # no colon
        ("Basic !!!", None),
        ("Basic /w==", None),  # not UTF-8
        ("Bearer YTpi", None),
        ("Basic", None),
        ("", None),
    ],
)
def test_what_the_authorization_header_says(value, expected):
    assert parse_basic_auth(basic(value)) == expected


def test_two_authorization_headers_say_nothing():
    pair = ("authorization", encode_basic_auth("a", "b"))
    assert parse_basic_auth(conn("GET", "/", headers=[pair, pair])) is None


def test_a_colon_in_the_name_cannot_be_sent():
    with pytest.raises(ValueError, match="colon"):
        encode_basic_auth("a:b", "c")


@pytest.mark.parametrize(
    ("username", "password", "enters"),
    [("ann", "secret", True), ("ann", "Secret", False), ("bob", "secret", False), ("", "", False)],
)
def test_who_may_enter(username, password, enters):
    guard = BasicAuth(username="ann", password="secret", realm='my "realm"\\')
    answered = guard(basic(encode_basic_auth(username, password)))
    assert answered.halted is not enters
    if not enters:
        assert answered.status == 401
        assert header(answered, "www-authenticate") == 'Basic realm="my realm", charset="UTF-8"'
        assert answered.adapter.sent_body == b"Unauthorized"


def test_a_function_decides():
    guard = BasicAuth(verify=lambda username, password: username == password)
    assert guard(basic(encode_basic_auth("x", "x"))).halted is False
    assert guard(basic(encode_basic_auth("x", "y"))).status == 401
    assert guard(conn("GET", "/")).status == 401


@pytest.mark.parametrize(
    "options",
    [{}, {"username": "a"}, {"username": "", "password": ""}, {"verify": print, "username": "a"}],
)
def test_basic_auth_that_protects_nothing_is_refused(options):
    with pytest.raises(ValueError, match="BasicAuth"):
        BasicAuth(**options)


# SSL ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "status"),
    [("GET", 301), ("HEAD", 301), ("POST", 307), ("DELETE", 307), ("OPTIONS", 307)],
)
def test_http_is_redirected(method, status):
    answered = SSL()(conn(method, "/a%20b?c=d&e"))
    assert answered.status == status
    assert answered.halted
    assert header(answered, "location") == "https://www.example.com/a%20b?c=d&e"
    assert header(answered, "strict-transport-security") is None


def test_redirect_to_another_host():
    answered = SSL(host="other.test:8443")(conn("GET", "/a"))
    assert header(answered, "location") == "https://other.test:8443/a"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "max-age=31536000"),
        ({"expires": 60}, "max-age=60"),
        ({"subdomains": True}, "max-age=31536000; includeSubDomains"),
        (
            {"subdomains": True, "preload": True},
            "max-age=31536000; includeSubDomains; preload",
        ),
        ({"hsts": False}, None),
    ],
)
def test_https_gets_the_header(options, expected):
    answered = SSL(**options)(conn("GET", "/", scheme="https"))
    assert not answered.halted
    assert header(answered, "strict-transport-security") == expected


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("exclude", [["www.example.com"], lambda conn: conn.host[:3] == "www"])
def test_excluded_hosts_are_left_alone(scheme, exclude):
    answered = SSL(exclude=exclude)(conn("GET", "/", scheme=scheme))
    assert not answered.halted
    assert header(answered, "strict-transport-security") is None


def test_localhost_is_left_alone_by_default():
    assert not SSL()(conn("GET", "/", headers={"host": "localhost:4000"})).halted


def test_excluded_paths_are_not_redirected_but_keep_the_header():
    plug = SSL(exclude_paths=["/health"])
    assert not plug(conn("GET", "/health")).halted
    assert plug(conn("GET", "/health/x")).halted
    https = plug(conn("GET", "/health", scheme="https"))
    assert header(https, "strict-transport-security") is not None


def test_the_log_line_of_a_redirect_has_no_query(caplog):
    with caplog.at_level(logging.INFO, "plugpy.plugs.ssl"):
        SSL()(conn("GET", "/a?token=secret"))
        SSL(log=None)(conn("GET", "/b"))
    assert [record.getMessage() for record in caplog.records] == ["redirecting GET /a to https"]


@pytest.mark.parametrize(
    "options", [{"expires": -1}, {"preload": True}, {"exclude": "localhost"}, {"log": "loud"}]
)
def test_ssl_options_are_checked(options):
    with pytest.raises(ValueError, match=r"."):
        SSL(**options)


@pytest.mark.parametrize(
    ("options", "redirected"),
    [
        ({}, True),
        ({"rewrite_on": ["x-forwarded-proto"]}, False),
        ({"rewrite_on": ["x-forwarded-host"]}, True),
        ({"rewrite_on": ["x-forwarded-proto"], "trusted_proxies": ["10.0.0.0/8"]}, True),
    ],
)
def test_ssl_believes_the_proxies_that_it_is_told_to(options, redirected):
    request = conn("GET", "/", headers={"x-forwarded-proto": "https"})
    answered = SSL(**options)(request)
    assert answered.halted is redirected
    assert bool(answered.get_resp_header("strict-transport-security")) is not redirected


def test_ssl_redirects_to_the_host_that_a_proxy_tells():
    headers = {"x-forwarded-host": "app.test"}
    answered = SSL(rewrite_on=["x-forwarded-host"])(conn("GET", "/a", headers=headers))
    assert answered.get_resp_header("location") == ["https://app.test/a"]


@pytest.mark.parametrize(
    "options", [{"rewrite_on": ["x-nothing"]}, {"trusted_proxies": ["10.0.0.0/8"]}]
)
def test_ssl_options_about_proxies_that_do_not_fit(options):
    with pytest.raises(ValueError, match=r"x-nothing|rewrite_on"):
        SSL(**options)


# SecureHeaders --------------------------------------------------------------------------------


def test_the_defaults_and_what_replaces_them():
    answered = SecureHeaders(headers={"referrer-policy": None, "x-own": "1"})(conn("GET", "/"))
    assert header(answered, "content-security-policy") == (
        "base-uri 'self'; frame-ancestors 'self';"
    )
    assert header(answered, "x-content-type-options") == "nosniff"
    assert header(answered, "x-permitted-cross-domain-policies") == "none"
    assert header(answered, "referrer-policy") is None
    assert header(answered, "x-own") == "1"


@pytest.mark.parametrize(("keep", "expected"), [(True, "no-referrer"), (False, "origin")])
def test_a_header_that_is_there_already(keep, expected):
    plug = SecureHeaders(headers={"referrer-policy": "origin"}, keep=keep)
    answered = plug(conn("GET", "/").put_resp_header("referrer-policy", "no-referrer"))
    assert header(answered, "referrer-policy") == expected


def test_secure_headers_are_checked_at_once():
    with pytest.raises(InvalidHeaderError):
        SecureHeaders(headers={"x-own": "line\nbreak"})


# HostAllowlist --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("example.com", True),
        ("EXAMPLE.com:4000", True),
        ("example.com.", True),
        ("a.b.example.org", True),
        ("example.org", True),
        ("www.example.com", False),
        ("evilexample.org", False),
        ("example.com.evil.test", False),
        ("[::1]:80", True),
        ("127.0.0.1", False),
    ],
)
def test_which_hosts_are_served(host, served):
    plug = HostAllowlist(hosts=["example.com", ".example.org", "[::1]"])
    answered = plug(conn("GET", "/", headers={"host": host}))
    assert answered.halted is not served
    assert answered.status == (None if served else 421)


def test_a_health_check_may_come_by_any_name():
    plug = HostAllowlist(hosts=["example.com"], exclude_paths=["/health"])
    assert not plug(conn("GET", "/health", headers={"host": "10.0.0.1"})).halted


@pytest.mark.parametrize(
    "hosts", [[], "example.com", ["https://a.test"], ["a.test:80"], ["*.a.test"], [""]]
)
def test_hosts_that_cannot_match_are_refused(hosts):
    with pytest.raises(ValueError, match="host"):
        HostAllowlist(hosts=hosts)


# CORS -----------------------------------------------------------------------------------------

APP = "https://app.example.com"


def preflight(origin=APP, **headers):
    return conn(
        "OPTIONS",
        "/",
        headers={
            "origin": origin,
            "access-control-request-method": "PUT",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
    )


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ([APP], APP, True),
        ([APP], "https://app.example.com.evil.test", False),
        ([APP], "http://app.example.com", False),
        ([APP], "null", False),
        ([re.compile(r"https://\w+\.example\.com")], APP, True),
        ([re.compile(r"https://\w+\.example\.com")], APP + ".evil.test", False),
        (lambda origin: origin.endswith(".com"), APP, True),
    ],
)
def test_which_origins_may_read(origins, origin, allowed):
    plug = CORS(origins=origins, expose=["x-total"])
    answered = plug(conn("GET", "/", headers={"origin": origin}))
    assert not answered.halted
    assert header(answered, "vary") == "origin"
    assert header(answered, "access-control-allow-origin") == (origin if allowed else None)
    assert header(answered, "access-control-expose-headers") == ("x-total" if allowed else None)
    assert plug(preflight(origin)).status == (204 if allowed else 403)


def test_everybody_may_read():
    plug = CORS(origins="*")
    answered = plug(conn("GET", "/", headers={"origin": APP}))
    assert header(answered, "access-control-allow-origin") == "*"
    assert header(answered, "vary") is None


def test_a_cache_keeps_answers_apart_also_without_an_origin():
    answered = CORS(origins=[APP])(conn("GET", "/").put_resp_header("vary", "accept"))
    assert header(answered, "vary") == "accept, origin"
    assert header(answered, "access-control-allow-origin") is None


def test_a_preflight_is_answered():
    plug = CORS(origins=[APP], headers=["x-token"], credentials=True, max_age=5)
    answered = plug(preflight())
    assert answered.halted
    assert answered.status == 204
    assert header(answered, "access-control-allow-origin") == APP
    assert header(answered, "access-control-allow-credentials") == "true"
    assert header(answered, "access-control-allow-methods") == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert header(answered, "access-control-allow-headers") == "x-token"
    assert header(answered, "access-control-max-age") == "5"


def test_any_header_is_allowed_by_its_name():
    answered = CORS(origins=[APP], headers="*")(
        preflight(access_control_request_headers="x-a, x-b")
    )
    assert header(answered, "access-control-allow-headers") == "x-a, x-b"
    assert header(answered, "vary") == "origin, access-control-request-headers"


def test_options_without_a_question_goes_on():
    assert not CORS(origins="*")(conn("OPTIONS", "/", headers={"origin": APP})).halted


@pytest.mark.parametrize(
    "options",
    [
        {"origins": "*", "credentials": True},
        {"origins": APP},
        {"origins": []},
        {"origins": ["app.example.com"]},
        {"origins": [APP + "/path"]},
        {"origins": [APP], "methods": "GET"},
        {"origins": [APP], "headers": "x-token"},
    ],
)
def test_cors_options_are_checked(options):
    with pytest.raises(ValueError, match=r"."):
        CORS(**options)


def test_cors_behind_a_login_is_refused_at_start():
    with pytest.raises(ValueError, match="CORS must come before BasicAuth"):
        compile_pipeline([BasicAuth(username="a", password="b"), CORS(origins="*")])
