"""acceptors: Ranch for asyncio. A pool of acceptors hands sockets to supervised connections.

Lives here: listeners, acceptors, connection supervisors, and in `acceptors.otp` the processes that
they are made of. Knows sockets and processes, and nothing of HTTP.
May be touched: the functions below, named as Ranch names them; Connection and StreamConnection to
write protocols; TransportOptions.
"""

from acceptors.acceptor import Acceptor
from acceptors.acceptor_pool import AcceptorPool
from acceptors.api import (
    child_spec,
    drain,
    get_addr,
    get_max_connections,
    get_port,
    get_protocol_options,
    get_status,
    get_transport_options,
    info,
    procs,
    remove_connection,
    resume_listener,
    set_max_connections,
    set_protocol_options,
    set_transport_options,
    start_listener,
    stop_listener,
    suspend_listener,
    wait_for_connections,
)
from acceptors.connection import Connection
from acceptors.connections import Connections
from acceptors.errors import AlreadyStartedError, NoListenerError, OptionError
from acceptors.listener import Listener
from acceptors.options import Alarm, TransportOptions
from acceptors.proxy_protocol import ProxyHeader, ProxyProtocolError
from acceptors.stream import StreamConnection
from acceptors.tls import Certificates, TlsOptions

__all__ = [
    "Acceptor",
    "AcceptorPool",
    "Alarm",
    "AlreadyStartedError",
    "Certificates",
    "Connection",
    "Connections",
    "Listener",
    "NoListenerError",
    "OptionError",
    "ProxyHeader",
    "ProxyProtocolError",
    "StreamConnection",
    "TlsOptions",
    "TransportOptions",
    "child_spec",
    "drain",
    "get_addr",
    "get_max_connections",
    "get_port",
    "get_protocol_options",
    "get_status",
    "get_transport_options",
    "info",
    "procs",
    "remove_connection",
    "resume_listener",
    "set_max_connections",
    "set_protocol_options",
    "set_transport_options",
    "start_listener",
    "stop_listener",
    "suspend_listener",
    "wait_for_connections",
]
