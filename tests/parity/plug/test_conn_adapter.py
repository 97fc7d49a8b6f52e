"""The case of Plug's test/plug/conn/adapter_test.exs: a Conn made by an adapter."""

from plugpy.conn import Conn, RequestHead
from plugpy.testing import TestAdapter


def test_conn() -> None:
    adapter = TestAdapter(scheme="https")
    headers = [("Host", "example.org"), ("X-A", "one")]
    c = Conn(adapter, RequestHead.from_headers("POST", "/one//two", "three", headers))
    assert c.adapter is adapter
    assert (c.method, c.scheme, c.host, c.port) == ("POST", "https", "example.org", 443)
    assert (c.request_path, c.path_info, c.query_string) == ("/one//two", ["one", "two"], "three")
    assert c.remote_ip == "127.0.0.1"
    assert c.req_headers == [("host", "example.org"), ("x-a", "one")]
