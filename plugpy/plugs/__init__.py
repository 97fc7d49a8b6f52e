"""Built-in plugs, one file each.

Each is a class that takes its options as keywords once, and whose instance is the plug. Everything
below is loaded when it is first used.

| plug | what it does |
|---|---|
| BasicAuth | a name and a password (RFC 7617) |
| CORS | which other sites' pages may use this one |
| CSRFProtection | requests that change something must come from our own pages |
| Compress | answers compressed by gzip, br or zstd |
| ConditionalGet | 304 for who has the page already |
| Debugger | a page for developers about what plugs raise |
| ETag | an entity tag for each dynamic answer |
| ErrorHandler | an answer of your own to what plugs raise |
| Flash | messages for the next page that the user sees |
| Head | answers HEAD by the routes of GET |
| HostAllowlist | answers for its own names only |
| Logger | two lines for each request |
| MethodOverride | lets HTML forms send PUT, PATCH and DELETE |
| Parsers | the request body as `conn.body_params` |
| RateLimit | so many requests in so much time from each client |
| RequestId | an id for every request |
| RewriteOn | believes trusted proxies what they say of the client |
| SSL | everything over https |
| SecureHeaders | headers that browsers protect their users by |
| Session | what a user's requests have in common |
| Signature | only what a partner has signed |
| SignedURL | only URLs that were signed here |
| Static | files of a folder |
| Telemetry | an event at the start and the end of each request |
| Templates | pages by Jinja2, `conn.render` |
| Timeout | an end to what takes too long |
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugpy.plugs.basic_auth import BasicAuth as BasicAuth
    from plugpy.plugs.compress import Compress as Compress
    from plugpy.plugs.conditional_get import ConditionalGet as ConditionalGet
    from plugpy.plugs.cors import CORS as CORS
    from plugpy.plugs.csrf_protection import CSRFProtection as CSRFProtection
    from plugpy.plugs.debugger import Debugger as Debugger
    from plugpy.plugs.error_handler import ErrorHandler as ErrorHandler
    from plugpy.plugs.etag import ETag as ETag
    from plugpy.plugs.flash import Flash as Flash
    from plugpy.plugs.flash import clear_flash as clear_flash
    from plugpy.plugs.flash import get_flash as get_flash
    from plugpy.plugs.flash import put_flash as put_flash
    from plugpy.plugs.head import Head as Head
    from plugpy.plugs.host_allowlist import HostAllowlist as HostAllowlist
    from plugpy.plugs.logger import Logger as Logger
    from plugpy.plugs.method_override import MethodOverride as MethodOverride
    from plugpy.plugs.parsers import Parsers as Parsers
    from plugpy.plugs.rate_limit import RateLimit as RateLimit
    from plugpy.plugs.request_id import RequestId as RequestId
    from plugpy.plugs.request_id import current_request_id as current_request_id
    from plugpy.plugs.rewrite_on import RewriteOn as RewriteOn
    from plugpy.plugs.secure_headers import SecureHeaders as SecureHeaders
    from plugpy.plugs.session import Session as Session
    from plugpy.plugs.signature import Signature as Signature
    from plugpy.plugs.signed_url import SignedURL as SignedURL
    from plugpy.plugs.ssl import SSL as SSL
    from plugpy.plugs.static import Static as Static
    from plugpy.plugs.telemetry import Telemetry as Telemetry
    from plugpy.plugs.templates import Templates as Templates
    from plugpy.plugs.templates import stream_template as stream_template
    from plugpy.plugs.timeout import Timeout as Timeout

_HOMES = {
    "BasicAuth": "basic_auth",
    "CORS": "cors",
    "CSRFProtection": "csrf_protection",
    "Compress": "compress",
    "ConditionalGet": "conditional_get",
    "Debugger": "debugger",
    "ETag": "etag",
    "ErrorHandler": "error_handler",
    "Flash": "flash",
    "Head": "head",
    "HostAllowlist": "host_allowlist",
    "Logger": "logger",
    "MethodOverride": "method_override",
    "Parsers": "parsers",
    "RateLimit": "rate_limit",
    "RequestId": "request_id",
    "RewriteOn": "rewrite_on",
    "SSL": "ssl",
    "SecureHeaders": "secure_headers",
    "Session": "session",
    "Signature": "signature",
    "SignedURL": "signed_url",
    "Static": "static",
    "Telemetry": "telemetry",
    "Templates": "templates",
    "Timeout": "timeout",
    "clear_flash": "flash",
    "current_request_id": "request_id",
    "get_flash": "flash",
    "put_flash": "flash",
    "stream_template": "templates",
}
"""Name -> the file that it lives in."""

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'plugpy.plugs' has no attribute {name!r}")
    return getattr(import_module(f"plugpy.plugs.{home}"), name)


def __dir__() -> list[str]:
    return list(__all__)
