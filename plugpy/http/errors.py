"""What is wrong with a message, and the status it is answered with.

One table: a verdict is named once here and raised by name, so that every parser gives the same
status and the same reason for the same fault. docs/reference/limits.md lists it.
"""

from typing import Final


class HttpError(Exception):
    """A request that can't be served as it was sent. `status` int, `verdict` the table's key."""

    def __init__(self, verdict: str) -> None:
        status, reason = VERDICTS[verdict]
        super().__init__(reason)
        self.verdict = verdict
        self.status = status
        self.reason = reason


VERDICTS: Final[dict[str, tuple[int, str]]] = {
    "empty_lines": (400, "too many empty lines before the request line"),
    "bad_request_line": (400, "the request line is not METHOD SP TARGET SP VERSION"),
    "bad_target": (400, "the request target is not in a form of RFC 9112 section 3.2"),
    "bad_header": (400, "a header line is malformed (RFC 9112 section 5)"),
    "space_before_colon": (400, "white space before the colon of a header (RFC 9112 section 5.1)"),
    "obs_fold": (400, "a header is folded over two lines (RFC 9112 section 5.2)"),
    "bare_newline": (400, "a bare CR or LF in the head (RFC 9112 section 2.2)"),
    "tls_on_plain_port": (400, "this looks like TLS: use https on the TLS port"),
    "plain_on_tls_port": (400, "this is plain HTTP on a port that speaks TLS: use https"),
    "host_missing": (400, "no Host header (RFC 9112 section 3.2)"),
    "host_repeated": (400, "several Host headers (RFC 9112 section 3.2)"),
    "host": (400, "the Host header is not a host and a port (RFC 9112 section 3.2)"),
    "content_length": (400, "Content-Length is not one number (RFC 9112 section 6.3)"),
    "length_and_chunked": (400, "both Content-Length and Transfer-Encoding (RFC 9112 section 6.1)"),
    "transfer_encoding": (
        400,
        "Transfer-Encoding does not end with one chunked (RFC 9112 section 6.3)",
    ),
    "chunked_in_1_0": (400, "Transfer-Encoding in HTTP/1.0 (RFC 9112 section 6.1)"),
    "bad_chunk": (400, "a chunk of the body is malformed (RFC 9112 section 7.1)"),
    "bad_trailer": (400, "a trailer line is malformed (RFC 9112 section 7.1.2)"),
    "parser": (400, "the request could not be parsed"),
    "head_timeout": (408, "the request did not arrive in time"),
    "body_timeout": (408, "the request body did not arrive in time"),
    "body_too_large": (413, "the request body is larger than allowed"),
    "target_too_long": (414, "the request line is longer than allowed"),
    "expectation": (417, "the only expectation known is 100-continue (RFC 9110 section 10.1.1)"),
    "header_too_long": (431, "a header line is longer than allowed"),
    "too_many_headers": (431, "more header lines than allowed"),
    "head_too_long": (431, "the request head is longer than allowed"),
    "trailers_too_long": (431, "the trailers are longer than allowed"),
    "unknown_method": (501, "the method is not known here"),
    "transfer_coding": (501, "the only transfer coding known is chunked (RFC 9112 section 6.1)"),
    "request_timeout": (503, "the request took too long"),
    "overloaded": (503, "as many clients as allowed are being served: try again soon"),
    "lagging": (503, "the server is overloaded: try again soon"),
    "stopping": (503, "the server is stopping: try again soon"),
    "version": (505, "only HTTP/1 is spoken here (RFC 9110 section 2.5)"),
}
"""Verdict -> (status, reason that the client is told)."""
