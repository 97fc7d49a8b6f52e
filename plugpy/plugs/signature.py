"""Signature: only what a partner has signed (webhooks of GitHub, Stripe, Slack and others)."""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, Self

from plugpy.conn import Conn

TOLERANCE: Final = 300.0
"""Seconds that a signed time may be off: what is older may be a replay."""


class Signature:
    """Answers 403 unless the body carries a good HMAC, and halts.

    Options:
      secret             text or bytes shared with the sender; a list: any of them, while one is
                         being replaced
      header             header with the signature
      pattern            regular expression for its value with the groups "signature" and maybe
                         "timestamp"; each match is tried. The default takes the whole value
      timestamp_header   header with the time that is signed along, in seconds since 1970; None
      payload            what is signed: "{body}", "{timestamp}.{body}" ...
      algorithm          of hashlib, "sha256"
      encoding           "hex" or "base64"
      tolerance          seconds that the signed time may be off, 300
      clock              function that gives seconds since 1970, time.time

    Ready made: `Signature.github(secret)`, `Signature.stripe(secret)`, `Signature.slack(secret)`.
    It reads the body by `conn.body()`, which keeps it: Parsers read it again afterwards. Place it
    before Parsers, behind a limit for the body. Raises ValueError for options that can't be.

    >>> from plugpy.testing import call, conn
    >>> signed = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    >>> sent = conn("POST", "/", "Hello, World!", {"x-hub-signature-256": f"sha256={signed}"})
    >>> call(Signature.github("It's a Secret to Everybody"), sent).halted
    False
    """

    __slots__ = (
        "_algorithm",
        "_clock",
        "_encoding",
        "_header",
        "_parts",
        "_pattern",
        "_secrets",
        "_timestamp_header",
        "_tolerance",
    )
    runs_before = ("Parsers",)

    def __init__(
        self,
        *,
        secret: str | bytes | Sequence[str | bytes],
        header: str,
        pattern: str = r"(?P<signature>.*)",
        timestamp_header: str | None = None,
        payload: str = "{body}",
        algorithm: str = "sha256",
        encoding: Literal["hex", "base64"] = "hex",
        tolerance: float = TOLERANCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        given = [secret] if isinstance(secret, str | bytes) else list(secret)
        self._secrets = [one.encode() if isinstance(one, str) else one for one in given]
        if not self._secrets or not all(self._secrets):
            raise ValueError("secret is a text that is not empty, or a list of them")
        if algorithm not in hashlib.algorithms_available:
            raise ValueError(f"algorithm is one of hashlib, got {algorithm!r}")
        if encoding not in ("hex", "base64"):
            raise ValueError(f"encoding is 'hex' or 'base64', got {encoding!r}")
        before, body, after = payload.partition("{body}")
        if not body:
            raise ValueError(f"payload says where the body is, '{{body}}', got {payload!r}")
        self._parts = (before, after)
        self._pattern = re.compile(pattern, re.DOTALL)
        groups = self._pattern.groupindex
        if "signature" not in groups:
            raise ValueError(f"pattern needs a group (?P<signature>...), got {pattern!r}")
        timed = timestamp_header is not None or "timestamp" in groups
        if timed != ("{timestamp}" in payload):
            raise ValueError("a timestamp is taken from the request and signed in payload, or not")
        self._header = header
        self._timestamp_header = timestamp_header
        self._algorithm = algorithm
        self._encoding = encoding
        self._tolerance = tolerance
        self._clock = clock

    @classmethod
    def github(cls, secret: str | bytes | Sequence[str | bytes]) -> Self:
        """Webhooks of GitHub: x-hub-signature-256."""
        return cls(
            secret=secret, header="x-hub-signature-256", pattern=r"\Asha256=(?P<signature>.*)"
        )

    @classmethod
    def stripe(
        cls, secret: str | bytes | Sequence[str | bytes], *, tolerance: float = TOLERANCE
    ) -> Self:
        """Webhooks of Stripe: stripe-signature, with a time and one or more v1 signatures."""
        return cls(
            secret=secret,
            header="stripe-signature",
            pattern=r"(?:\At=(?P<timestamp>\d+))?,v1=(?P<signature>[0-9a-f]+)",
            payload="{timestamp}.{body}",
            tolerance=tolerance,
        )

    @classmethod
    def slack(
        cls, secret: str | bytes | Sequence[str | bytes], *, tolerance: float = TOLERANCE
    ) -> Self:
        """Requests of Slack: x-slack-signature and x-slack-request-timestamp."""
        return cls(
            secret=secret,
            header="x-slack-signature",
            pattern=r"\Av0=(?P<signature>.*)",
            timestamp_header="x-slack-request-timestamp",
            payload="v0:{timestamp}:{body}",
            tolerance=tolerance,
        )

    def __call__(self, conn: Conn) -> Conn | Awaitable[Conn]:
        sent = conn.get_req_header(self._header)
        if len(sent) != 1 or len(sent[0]) > 4096:
            return self._refuse(conn)
        timestamp: str | None = None
        if self._timestamp_header is not None:
            times = conn.get_req_header(self._timestamp_header)
            timestamp = times[0] if len(times) == 1 else ""
        signatures = []
        for match in self._pattern.finditer(sent[0]):
            if timestamp is None:
                timestamp = match.groupdict().get("timestamp")
            if (signature := self._decode(match["signature"])) is not None:
                signatures.append(signature)
        if not signatures or not self._is_recent(timestamp):
            return self._refuse(conn)  # before anything of the body is read
        return self._verify(conn, signatures[:10], timestamp or "")

    def _is_recent(self, timestamp: str | None) -> bool:
        if "{timestamp}" not in "".join(self._parts):
            return True
        if not timestamp or not re.fullmatch(r"[0-9]{1,15}", timestamp):
            return False
        return abs(self._clock() - int(timestamp)) <= self._tolerance

    async def _verify(self, conn: Conn, signatures: list[bytes], timestamp: str) -> Conn:
        body = await conn.body()
        before, after = (part.replace("{timestamp}", timestamp).encode() for part in self._parts)
        good = False
        for secret in self._secrets:
            made = hmac.new(secret, before, self._algorithm)
            made.update(body)
            made.update(after)
            expected = made.digest()
            for signature in signatures:
                good |= hmac.compare_digest(signature, expected)
        return conn if good else self._refuse(conn)

    def _refuse(self, conn: Conn) -> Conn:
        return conn.send_resp(403, "403 Forbidden: the signature is missing or wrong\n").halt()

    def _decode(self, text: str) -> bytes | None:
        try:
            if self._encoding == "hex":
                return binascii.unhexlify(text.strip())
            return base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            return None
