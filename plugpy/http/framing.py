"""Where a request body ends, by its headers (RFC 9112 section 6): one judge for all who ask.

Everything that could be read in two ways is refused: whoever sits between the client and us may
have read it the other way (request smuggling).
"""

import re
from typing import Final

from plugpy.http.errors import HttpError

CHUNKED: Final = -1
"""Instead of a length: the body comes in chunks."""

LARGEST: Final = 2**63
"""No length and no chunk is this long: what counts in signed 64 bits would go astray."""

# `isdigit` alone would let other scripts' digits through. 19 digits, leading zeros included.
_LENGTH = re.compile(r"[0-9]{1,19}")
_CODING = re.compile(
    # RFC 9112 section 7: token *( OWS ";" OWS token BWS "=" BWS ( token / quoted-string ) ), here
    # without commas in the quoted string: those may end a coding for somebody else.
    r"[!#$%&'*+\-.^_`|~0-9a-z]+"
    r"(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9a-z]+[ \t]*=[ \t]*"
    r'(?:[!#$%&\'*+\-.^_`|~0-9a-z]+|"[^",\\]*"))*'
)


def body_length(lengths: list[str], codings: list[str], version: str) -> int:
    """Bytes of the body, CHUNKED for chunks. Raises HttpError.

    lengths, codings: the values of the Content-Length and Transfer-Encoding lines, one each line;
    version: "1.0" or "1.1".
    """
    if codings:
        if lengths:
            raise HttpError("length_and_chunked")
        if version == "1.0":
            raise HttpError("chunked_in_1_0")
        _check_codings(codings)
        return CHUNKED
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        # RFC 9112 section 6.3 would let "5, 5" pass; refusing it is the other choice it leaves.
        raise HttpError("content_length")
    length = int(lengths[0])
    if length >= LARGEST:
        raise HttpError("content_length")
    return length


def _check_codings(values: list[str]) -> None:
    """Raise HttpError unless chunked is the only coding.

    RFC 9112 section 6.3: without a final chunked the length can't be known: 400. Section 6.1:
    codings before it that we don't know: 501. Empty members of the list are refused, although RFC
    9110 section 5.6.1 would ignore them: not everybody does.
    """
    if len(values) == 1 and values[0].lower() == "chunked":
        return
    codings = [coding.strip(" \t").lower() for value in values for coding in value.split(",")]
    last = codings.pop()
    if last != "chunked" or "chunked" in codings or not all(map(_CODING.fullmatch, codings)):
        raise HttpError("transfer_encoding")
    raise HttpError("transfer_coding")
