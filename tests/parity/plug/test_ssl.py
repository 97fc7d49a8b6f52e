"""The cases of Plug's test/plug/ssl_test.exs: the plug, and the options of a TLS listener."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acceptors.errors import OptionError
from acceptors.tls import Certificates, TlsOptions, make_context
from plugpy.conn import Conn
from plugpy.pipeline import Pipeline
from plugpy.plugs import SSL, RewriteOn
from plugpy.testing import call, conn

HSTS = "strict-transport-security"
YEAR = "max-age=31536000"
FILES = [("cert.pem", "key.pem")]


def ask(
    url: str = "https://example.com/", method: str = "GET", sent: Any = (), **options: Any
) -> Conn:
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    c = conn(method, f"/{path}", headers={"host": host, **dict(sent)}, scheme=scheme)
    return SSL(**options)(c)


def hsts(c: Conn) -> list[str]:
    assert not c.halted
    return c.get_resp_header(HSTS)


def location(c: Conn, status: int = 301) -> str:
    assert (c.halted, c.status, c.adapter.sent_body) == (True, status, b"")
    (value,) = c.get_resp_header("location")
    return value


# configure: the options of a listener


def test_configure_sets_secure_renegotiate_and_reuse_sessions_depending_on_the_version() -> None:
    for version in ("1.2", "1.3"):
        context = make_context(TlsOptions(certificates=FILES, min_version=version))
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.options & ssl.OP_NO_COMPRESSION


def test_configure_sets_cipher_suite_to_strong() -> None:
    context = make_context(TlsOptions(certificates=FILES, min_version="1.3"))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE


def test_configure_sets_cipher_suite_to_compatible() -> None:
    context = make_context(TlsOptions(certificates=FILES))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    for cipher in context.get_ciphers():
        assert cipher["aead"]
        assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith("ECDHE-")


def test_configure_sets_cipher_suite_with_overrides_compatible() -> None:
    only = "ECDHE-RSA-AES256-GCM-SHA384"
    context = make_context(TlsOptions(certificates=FILES, ciphers=only))
    assert [c["name"] for c in context.get_ciphers() if c["protocol"] != "TLSv1.3"] == [only]


def test_configure_fails_to_configure_if_the_keyfile_doesn_t_exist(
    write_certificate: Callable[..., tuple[str, str]], tmp_path: Path
) -> None:
    certfile, _ = write_certificate("example.com", to=tmp_path)
    with pytest.raises(OptionError, match="keyfile") as caught:
        Certificates(TlsOptions(certificates=[(certfile, str(tmp_path / "none.pem"))]))
    assert caught.value.option == "keyfile"


def test_configure_fails_to_configure_if_the_certfile_doesn_t_exist(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="certfile") as caught:
        Certificates(TlsOptions(certificates=[(str(tmp_path / "none.pem"), None)]))
    assert caught.value.option == "certfile"


def test_configure_supports_the_certs_keys_ssl_config_option(
    write_certificate: Callable[..., tuple[str, str]], tmp_path: Path
) -> None:
    pairs = []
    for name in ("a.example", "b.example"):
        (tmp_path / name).mkdir()
        pairs.append(write_certificate(name, to=tmp_path / name))
    certificates = Certificates(TlsOptions(certificates=pairs))
    one, two = (certificates.context_for(name) for name in ("a.example", "b.example"))
    assert one is not two
    assert certificates.context_for("other.example") is certificates.default is one


@pytest.mark.parametrize("ciphers", ["unknown", "ECDHE-NONE", ""])
def test_configure_errors_when_an_invalid_cipher_is_given(ciphers: str) -> None:
    with pytest.raises(OptionError, match="OpenSSL knows no cipher"):
        make_context(TlsOptions(certificates=FILES, ciphers=ciphers))


# the plug


def test_hsts_includes_headers_by_default() -> None:
    assert hsts(ask()) == [YEAR]


def test_hsts_when_true() -> None:
    assert hsts(ask(hsts=True)) == [YEAR]


def test_hsts_when_false() -> None:
    assert hsts(ask(hsts=False)) == []


def test_hsts_with_custom_expires() -> None:
    assert hsts(ask(expires=3600)) == ["max-age=3600"]


def test_hsts_includes_subdomains() -> None:
    assert hsts(ask(subdomains=True)) == [f"{YEAR}; includeSubDomains"]


@pytest.mark.parametrize(
    "options", [{}, {"subdomains": True, "expires": 3600}, {"subdomains": True, "hsts": False}]
)
def test_hsts_includes_preload(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="preload needs"):
        SSL(preload=True, **options)


def test_hsts_with_multiple_flags() -> None:
    assert hsts(ask(preload=True, subdomains=True)) == [f"{YEAR}; includeSubDomains; preload"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:4000", "[::1]:4000"])
def test_exclude_excludes_localhost_by_default(host: str) -> None:
    assert hsts(ask(f"https://{host}/")) == []
    assert hsts(ask(f"http://{host}/")) == []


def test_exclude_excludes_hosts() -> None:
    assert hsts(ask("https://localhost.com/", exclude=["example.com"])) == [YEAR]
    for scheme in ("http", "https"):
        assert hsts(ask(f"{scheme}://example.com/", exclude=["example.com"])) == []


def test_exclude_excludes_paths() -> None:
    assert hsts(ask("http://example.com/health", exclude_paths=["/health"])) == []
    assert ask("http://example.com/health/a", exclude_paths=["/health"]).halted
    # It is the host that browsers remember.
    assert hsts(ask("https://example.com/health", exclude_paths=["/health"])) == [YEAR]


def test_exclude_excludes_conn_mfargs() -> None:
    for scheme in ("http", "https"):
        c = ask(f"{scheme}://10.0.0.1/", exclude=lambda conn: conn.host.startswith("10."))
        assert hsts(c) == []


def forwarded(headers: list[str], url: str, sent: dict[str, str], **options: Any) -> Conn:
    scheme, _, host = url.partition("://")
    c = conn("GET", "/a?b=c", headers={"host": host, **sent}, scheme=scheme)
    return SSL(rewrite_on=headers, **options)(c)


def test_rewrite_on_rewrites_http_to_https_based_on_x_forwarded_proto() -> None:
    c = forwarded(["x-forwarded-proto"], "http://example.com", {"x-forwarded-proto": "https"})
    assert hsts(c) == [YEAR]
    assert (c.scheme, c.port) == ("https", 443)


def test_rewrite_on_doesn_t_change_the_port_when_it_doesn_t_match_the_scheme() -> None:
    c = forwarded(["x-forwarded-proto"], "http://example.com:1234", {"x-forwarded-proto": "https"})
    assert hsts(c) == [YEAR]
    assert (c.scheme, c.port) == ("https", 1234)


def test_rewrite_on_rewrites_host_with_a_x_forwarder_host_header() -> None:
    sent = {"x-forwarded-host": "true.example.com"}
    c = forwarded(["x-forwarded-host"], "http://example.com", sent)
    assert location(c) == "https://true.example.com/a?b=c"


def test_rewrite_on_rewrites_port_with_a_x_forwarder_port_header() -> None:
    c = forwarded(["x-forwarded-port"], "http://example.com", {"x-forwarded-port": "3030"})
    assert location(c) == "https://example.com/a?b=c"
    assert c.port == 3030


def test_rewrite_on_is_what_the_plug_before_does() -> None:
    c = conn("GET", "/", headers={"x-forwarded-proto": "https"})
    assert hsts(call(Pipeline([RewriteOn(headers=["x-forwarded-proto"]), SSL()]), c)) == [YEAR]


def test_redirects_to_host_when_insecure() -> None:
    assert location(ask("http://example.com/")) == "https://example.com/"
    assert location(ask("http://example.com/a%20b?c=d&e")) == "https://example.com/a%20b?c=d&e"


def test_redirects_to_host_when_secure() -> None:
    # The proxy was asked by http, and asks by https.
    c = forwarded(["x-forwarded-proto"], "https://example.com", {"x-forwarded-proto": "http"})
    assert location(c) == "https://example.com/a?b=c"


def test_redirects_to_custom_host_on_get() -> None:
    c = ask("http://example.com/", host="ssl.example.com:443")
    assert location(c) == "https://ssl.example.com:443/"


def test_redirects_host_have_priority_over_rewrite_on_option() -> None:
    sent = {"x-forwarded-host": "true.example.com"}
    c = forwarded(["x-forwarded-host"], "http://example.com", sent, host="my.example.com")
    assert location(c) == "https://my.example.com/a?b=c"


def test_redirects_to_host_on_head() -> None:
    assert location(ask("http://example.com/", "HEAD")) == "https://example.com/"


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PUT", "DELETE", "PATCH"])
def test_redirects_to_custom_host_with_other_verbs(method: str) -> None:
    assert location(ask("http://example.com/", method), 307) == "https://example.com/"


def test_redirects_logs_on_redirect(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        ask("http://example.com/a?token=secret", log="info")
        ask("http://example.com/b", log=None)
    assert caplog.messages == ["redirecting GET /a to https"]
