"""The test kit: run plugs without a server (Plug.Test).

Lives here: `conn`, which builds a Conn with an adapter that records what is sent; `call` and
`acall`, which run any plug on it to its end; functions on what was sent, cookies, sessions, peers
and errors.
"""

from plugpy.testing.adapter import TestAdapter
from plugpy.testing.building import conn
from plugpy.testing.calling import acall, call
from plugpy.testing.cookies import delete_req_cookie, put_req_cookie, recycle_cookies
from plugpy.testing.ends import put_http_protocol, put_peer_data, put_sock_data, put_ssl_data
from plugpy.testing.error_sent import assert_error_sent, assert_error_sent_async
from plugpy.testing.sent import SentResponse, sent_chunks, sent_informs, sent_resp, sent_upgrades
from plugpy.testing.sessions import init_test_session

__all__ = [
    "SentResponse",
    "TestAdapter",
    "acall",
    "assert_error_sent",
    "assert_error_sent_async",
    "call",
    "conn",
    "delete_req_cookie",
    "init_test_session",
    "put_http_protocol",
    "put_peer_data",
    "put_req_cookie",
    "put_sock_data",
    "put_ssl_data",
    "recycle_cookies",
    "sent_chunks",
    "sent_informs",
    "sent_resp",
    "sent_upgrades",
]
