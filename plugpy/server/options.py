"""The table of options: each one is defined here, once.

From a row follow the flag (`--max-connections`), the variable (`PLUGPY_MAX_CONNECTIONS`), the TOML
key (`max-connections`), the argument of `plugpy.run(app, max_connections=...)`, its line in
`--help` and its row in docs/reference/command-line.md.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from plugpy.server.kinds import (
    BOOLEAN,
    MODE,
    NETWORK,
    PATH,
    PLACE,
    SIZE,
    SPAN,
    SPAN_OR_INFINITY,
    TEXT,
    Kind,
    choice,
    integer,
)

Part = Literal["server", "http"]

GROUPS: Final[dict[str, str]] = {
    "application": "Application",
    "listen": "Where to listen",
    "tls": "TLS and proxies",
    "connections": "Connections",
    "processes": "Processes",
    "logs": "Logs",
    "limits": "Limits of a request",
    "timeouts": "Timeouts",
    "configuration": "Configuration",
}
"""The groups of the help, in their order, with their headings."""


@dataclass(frozen=True, slots=True)
class Option:
    """One row.

    `part` says who takes the value: the server itself, or the HttpOptions of its connections,
    whose field has the same name.
    `variables` are further environment variables that are looked up after `PLUGPY_*`. A `secret`
    has no flag, since command lines can be read by every user of the machine, and is never shown.
    """

    name: str
    kind: Kind
    default: Any
    group: str
    help: str
    part: Part = "server"
    variables: tuple[str, ...] = ()
    short: str = ""
    multiple: bool = False
    secret: bool = False

    @property
    def variable(self) -> str:
        """Its environment variable: `PLUGPY_MAX_CONNECTIONS`."""
        return f"PLUGPY_{self.name.upper()}"

    @property
    def key(self) -> str:
        """Its key in TOML: `max-connections`."""
        return self.name.replace("_", "-")

    @property
    def flag(self) -> str:
        """Its flag: `--max-connections`."""
        return f"--{self.key}"

    def text(self, value: Any) -> str:
        """`value` as it is written on the command line; a secret is masked, None is empty."""
        if value is None:
            return ""
        if self.secret:
            return "********"
        if self.multiple:
            return ",".join(self.kind.text(part) for part in value)
        return self.kind.text(value)


OPTIONS: Final[tuple[Option, ...]] = (
    # -- application ---------------------------------------------------------------------------
    Option(
        "app_dir",
        PATH,
        ".",
        "application",
        "Folder that the application is imported from.",
    ),
    Option(
        "factory",
        BOOLEAN,
        False,
        "application",
        "APP is a function without arguments that returns the application.",
    ),
    Option(
        "interface",
        choice("auto", "plug", "asgi", "wsgi"),
        "auto",
        "application",
        "What APP is called as; auto tells by its parameters.",
    ),
    Option(
        "threads",
        integer(1, 10_000),
        16,
        "application",
        "Threads for a WSGI application, in each process: so many requests it works on at a time.",
    ),
    Option(
        "debug",
        BOOLEAN,
        False,
        "application",
        "Error answers show source, variables and the request; never in production.",
        "http",
    ),
    Option(
        "secret_key_base",
        TEXT,
        None,
        "application",
        "What cookies are signed and encrypted with; 64 random characters or more.",
        "http",
        secret=True,
    ),
    # -- listen --------------------------------------------------------------------------------
    Option(
        "host",
        TEXT,
        "127.0.0.1",
        "listen",
        "Address to listen on, or a name, which is all of its addresses; 0.0.0.0 is every IPv4 and "
        ":: every address.",
    ),
    Option(
        "port",
        integer(0, 65535),
        4000,
        "listen",
        "TCP port to listen on; with 0 the system picks a free one.",
        variables=("PORT",),
        short="-p",
    ),
    Option(
        "uds",
        PATH,
        None,
        "listen",
        "Path of a unix socket to listen on in place of host and port.",
    ),
    Option("uds_mode", MODE, 0o660, "listen", "File mode of the unix socket."),
    Option(
        "fd",
        integer(0, words=("systemd",)),
        None,
        "listen",
        "Open descriptor of a listening socket to use; systemd takes those of a socket unit.",
    ),
    Option(
        "backlog",
        integer(1, 65535),
        1024,
        "listen",
        "Connections that wait in the kernel until they are accepted.",
    ),
    Option(
        "listen",
        PLACE,
        (),
        "listen",
        "Place to listen in place of all the above, with options of its own, such as "
        "'https://[::]:4443?certfile=a.pem', 'unix:a.sock?app=app:Admin', fd:3; may be repeated.",
        multiple=True,
    ),
    # -- TLS and proxies -----------------------------------------------------------------------
    Option(
        "certfile",
        PATH,
        (),
        "tls",
        "Certificate with its chain, in PEM: the server speaks TLS. May be repeated: the name that "
        "a client asks for chooses.",
        multiple=True,
    ),
    Option(
        "keyfile",
        PATH,
        (),
        "tls",
        "Key of a certificate, where it is not in the certfile; as many as certfiles.",
        multiple=True,
    ),
    Option("keyfile_password", TEXT, None, "tls", "Password of encrypted keys.", secret=True),
    Option(
        "client_cert",
        choice("none", "optional", "required"),
        "none",
        "tls",
        "Whether clients have to present a certificate (mTLS).",
    ),
    Option(
        "ca_certs",
        PATH,
        None,
        "tls",
        "Certificates of the authorities that client certificates are verified by, in PEM.",
    ),
    Option("tls_min_version", choice("1.2", "1.3"), "1.2", "tls", "Oldest version of TLS."),
    Option(
        "ciphers",
        TEXT,
        None,
        "tls",
        "Ciphers of TLS 1.2 in OpenSSL's words, in place of six with forward secrecy.",
    ),
    Option(
        "handshake_timeout",
        SPAN,
        5.0,
        "tls",
        "Time for what comes before the first request: PROXY header and TLS handshake.",
    ),
    Option(
        "proxy_protocol",
        choice("off", "optional", "required"),
        "off",
        "tls",
        "Whether trusted proxies say by the PROXY protocol whose connection they pass on.",
    ),
    Option(
        "rewrite_on",
        choice(
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-port",
            "forwarded",
        ),
        (),
        "tls",
        "Header that trusted proxies are believed; may be repeated.",
        multiple=True,
    ),
    Option(
        "trusted_proxies",
        NETWORK,
        ("127.0.0.0/8", "::1/128"),
        "tls",
        "Network of proxies that are believed what they say of clients; may be repeated.",
        multiple=True,
    ),
    # -- connections ---------------------------------------------------------------------------
    Option(
        "acceptors",
        integer(1, 100_000),
        100,
        "connections",
        "Acceptors of the listener: how many connections can be in acceptance at a time.",
    ),
    Option(
        "max_connections",
        integer(1, words=("infinity",)),
        16_384,
        "connections",
        "Connections served at a time, in each process.",
    ),
    Option(
        "max_connections_policy",
        choice("wait", "refuse", "close"),
        "wait",
        "connections",
        "What awaits a connection over the limit: to wait in the backlog, a 503, or a close.",
    ),
    Option(
        "max_connections_per_ip",
        integer(1, words=("infinity",)),
        "infinity",
        "connections",
        "Connections of one IPv4 address or IPv6 /64 at a time, in each process.",
    ),
    Option(
        "accept_rate",
        integer(0),
        0,
        "connections",
        "Connections accepted a second, in each process; 0 is any number.",
    ),
    Option(
        "accept_rate_per_ip",
        integer(0),
        0,
        "connections",
        "New connections a second of one address, in each process; 0 is any number.",
    ),
    # -- processes -----------------------------------------------------------------------------
    Option(
        "workers",
        integer(1, 1024, words=("auto",)),
        1,
        "processes",
        "Worker processes under a master; auto is one for each CPU; 1 is this process alone.",
        variables=("WEB_CONCURRENCY",),
        short="-w",
    ),
    Option(
        "control",
        TEXT,
        "auto",
        "processes",
        "Unix socket for plugpy ctl: a path, off, or auto, which is below XDG_RUNTIME_DIR or the "
        "folder for temporary files.",
    ),
    Option(
        "worker_start_timeout",
        SPAN,
        60.0,
        "processes",
        "Time for a worker to import the application and report that it is ready.",
    ),
    Option(
        "worker_timeout",
        SPAN,
        30.0,
        "processes",
        "A worker whose event loop is stuck for as long is replaced, its stack is logged; "
        "0s is never.",
    ),
    Option(
        "block_warning",
        SPAN,
        1.0,
        "processes",
        "An event loop that is blocked for as long is logged, with the plug and its stack; "
        "0s is never.",
    ),
    Option(
        "max_restarts",
        integer(0),
        10,
        "processes",
        "Restarts of a worker in the restart window; the server gives up when more are needed.",
    ),
    Option(
        "restart_window",
        SPAN,
        60.0,
        "processes",
        "The time that max-restarts counts for.",
    ),
    Option(
        "max_requests",
        integer(0),
        0,
        "processes",
        "Requests after which a worker is replaced, looked at once a second; 0 is any number. "
        "Even one worker has a master then.",
    ),
    Option(
        "max_requests_jitter",
        integer(0),
        0,
        "processes",
        "At most so many more, a different number for each worker.",
    ),
    Option(
        "max_rss",
        SIZE,
        0,
        "processes",
        "Resident memory at which a worker is replaced, looked at once a second; 0 is any size. "
        "Even one worker has a master then.",
    ),
    Option(
        "max_rss_jitter",
        SIZE,
        0,
        "processes",
        "At most so much more, a different size for each worker.",
    ),
    Option(
        "reload",
        BOOLEAN,
        False,
        "processes",
        "Restart when a source file changes (for development).",
    ),
    Option(
        "reload_dir",
        PATH,
        (),
        "processes",
        "Folder to watch in place of the app-dir; may be repeated.",
        multiple=True,
    ),
    Option(
        "reload_include",
        TEXT,
        ("*.py",),
        "processes",
        "Pattern of the names of files to watch; may be repeated.",
        multiple=True,
    ),
    Option(
        "reload_exclude",
        TEXT,
        (),
        "processes",
        "Pattern of names or paths not to watch; may be repeated.",
        multiple=True,
    ),
    Option(
        "loop",
        choice("auto", "uvloop", "asyncio"),
        "auto",
        "processes",
        "Event loop; auto is uvloop where it is installed.",
    ),
    Option(
        "http",
        choice("httptools", "h11"),
        "httptools",
        "processes",
        "Parser of HTTP/1.1.",
        "http",
    ),
    Option(
        "shutdown_timeout",
        SPAN_OR_INFINITY,
        15.0,
        "processes",
        "Time for open connections to finish after SIGTERM, SIGINT or a roll.",
    ),
    # -- logs ----------------------------------------------------------------------------------
    Option(
        "access_log",
        BOOLEAN,
        True,
        "logs",
        "One line for each answered request, on standard output.",
    ),
    Option(
        "log_format",
        choice("text", "json"),
        "text",
        "logs",
        "Form of all logs: for people, or a JSON object on each line.",
    ),
    Option(
        "log_level",
        choice("debug", "info", "warning", "error", "critical"),
        "info",
        "logs",
        "Least severity of the messages on standard error.",
    ),
    # -- HTTP ------------------------------------------------------------------------------------
    Option(
        "max_empty_lines",
        integer(0),
        16,
        "limits",
        "Empty lines before a request line; more are answered with 400.",
        "http",
    ),
    Option(
        "max_request_line",
        integer(1),
        8_192,
        "limits",
        "Bytes of a request line; more is answered with 414.",
        "http",
    ),
    Option(
        "max_header_line",
        integer(1),
        8_190,
        "limits",
        "Bytes of one header line; more is answered with 431.",
        "http",
    ),
    Option(
        "max_headers",
        integer(1),
        100,
        "limits",
        "Header lines of a request; more is answered with 431.",
        "http",
    ),
    Option(
        "max_head",
        SIZE,
        65_536,
        "limits",
        "Size of request line and headers; more is answered with 431.",
        "http",
    ),
    Option(
        "max_body",
        SIZE,
        8_000_000,
        "limits",
        "Size of a request body, unless its route says otherwise; more is answered with 413.",
        "http",
    ),
    Option(
        "max_chunk_line",
        SIZE,
        1_024,
        "limits",
        "Size of the line before a chunk of a body; more is answered with 400.",
        "http",
    ),
    Option(
        "max_chunk_extensions",
        SIZE,
        16_384,
        "limits",
        "Size of all chunk lines with extensions in a body; more is answered with 400.",
        "http",
    ),
    Option(
        "max_trailers",
        SIZE,
        8_190,
        "limits",
        "Size of the trailers of a chunked body; more is answered with 431.",
        "http",
    ),
    Option(
        "max_keepalive",
        integer(0),
        0,
        "limits",
        "Requests on one connection; 0 is any number.",
        "http",
    ),
    Option(
        "max_skip_body",
        SIZE,
        1_000_000,
        "limits",
        "Of a body that nobody read so much is skipped to keep the connection.",
        "http",
    ),
    Option(
        "read_buffer",
        SIZE,
        65_536,
        "limits",
        "Of a body or of pipelined requests so much is kept before the client is held back.",
        "http",
    ),
    Option(
        "header_timeout",
        SPAN,
        10.0,
        "timeouts",
        "Time for the whole head of a request; over it the answer is 408.",
        "http",
    ),
    Option(
        "keepalive_timeout",
        SPAN,
        75.0,
        "timeouts",
        "Time that an idle connection stays open between two requests.",
        "http",
    ),
    Option(
        "body_grace",
        SPAN,
        5.0,
        "timeouts",
        "Time before the least rate of a body counts.",
        "http",
    ),
    Option(
        "body_min_rate",
        SIZE,
        500,
        "timeouts",
        "Bytes a second that a request body must arrive at; slower is answered with 408.",
        "http",
    ),
    Option(
        "write_timeout",
        SPAN,
        30.0,
        "timeouts",
        "Time that a client may take nothing of what waits for it before it is reset.",
        "http",
    ),
    Option(
        "request_timeout",
        SPAN,
        0.0,
        "timeouts",
        "Time from the head of a request to the end of its answer, over it 503; 0s is none.",
        "http",
    ),
    Option(
        "max_lag",
        SPAN,
        0.0,
        "timeouts",
        "How late the event loop may be before new requests get 503; 0s is any time.",
        "http",
    ),
    Option(
        "max_lag_exempt",
        TEXT,
        (),
        "timeouts",
        "Path that is served however late the event loop is; may be repeated.",
        "http",
        multiple=True,
    ),
    Option(
        "linger_timeout",
        SPAN,
        2.0,
        "timeouts",
        "Time in which an early error answer can be read before the connection closes.",
        "http",
    ),
    # -- configuration -------------------------------------------------------------------------
    Option(
        "config",
        PATH,
        None,
        "configuration",
        "TOML file to read in place of plugpy.toml or pyproject.toml.",
    ),
    Option(
        "env_file",
        PATH,
        None,
        "configuration",
        "File of VARIABLE=value lines that are put into the environment where they are not set.",
    ),
)

BY_NAME: Final[dict[str, Option]] = {option.name: option for option in OPTIONS}
"""The rows by `name`."""

ON_COMMAND_LINE_ONLY: Final = frozenset({"config"})
"""Options that say where to read configuration and so can't stand in a TOML file."""
