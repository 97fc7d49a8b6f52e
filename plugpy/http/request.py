"""From the bytes of a complete head to a request: its head, and its body where one follows."""

import re
from typing import Protocol

from plugpy.conn import RequestHead
from plugpy.http.body import BodyLimits, RequestBody, decoder_for
from plugpy.http.errors import HttpError
from plugpy.http.faults import HeadLimits, diagnose, within_limits
from plugpy.http.head import HeadMemo, build_head
from plugpy.http.parsers import HeadParser

_LATER_MINOR = re.compile(rb"([^ \r\n]+ [^ \r\n]+ HTTP/1\.)[2-9](\r\n)")


class RequestLimits(HeadLimits, BodyLimits, Protocol):
    """What HttpOptions has to say about a head and what follows it."""

    small_head: int


class Shared(Protocol):
    """What the connections of a listener share (plugpy.http.runtime)."""

    parser: HeadParser
    memo: HeadMemo

    @property
    def options(self) -> RequestLimits: ...


def read_request(data: bytes, shared: Shared) -> tuple[RequestHead, RequestBody | None]:
    """Head and body of a request, from the bytes of its complete head, without empty lines before.

    Raises HttpError: the verdict of plugpy.http.faults, whichever parser refused it.
    """
    options = shared.options
    try:
        if len(data) > options.small_head and not within_limits(data, options):
            raise HttpError("parser")
        complete = shared.parser.accept(data)
        head = build_head(data.decode("latin-1"))
        lower = head.lower
        # The framing is judged here, whatever the parser made of it.
        framed = "\r\ncontent-length:" in lower or "\r\ntransfer-encoding:" in lower
        decoder = decoder_for(head, options) if framed else None
        if not complete and not framed:
            raise HttpError("parser")
    except HttpError:
        later = _LATER_MINOR.match(data)
        if later is not None:
            # RFC 9110 section 2.5: a higher minor version is served as the highest we know.
            return read_request(b"%b1%b%b" % (later[1], later[2], data[later.end() :]), shared)
        fault = diagnose(data, options)
        plain = b"" if fault.verdict != "parser" else _plain(data)
        if plain and plain != data:
            return read_request(plain, shared)
        raise fault from None
    if decoder is None:
        shared.memo.learn(data, head)
        return head, None
    head.plain = False
    # Their values were judged by `build_head`. HTTP/1.0 knows no expectations.
    expects_continue = (
        "\r\nexpect:" in head.lower and head.version == "1.1" and any(head.get("expect"))
    )
    return head, RequestBody(decoder, expects_continue)


def _plain(data: bytes) -> bytes:
    """The head without white space around the values: llhttp refuses some white space
    that RFC 9110 section 5.5 allows (a tab after `chunked`)."""
    line, *fields = data.split(b"\r\n")
    for number, field in enumerate(fields):
        name, colon, value = field.partition(b":")
        fields[number] = name + colon + value.strip(b" \t")
    return b"\r\n".join([line, *fields])
