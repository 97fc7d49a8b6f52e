"""Which values are secrets: a value is hidden by the name that it goes by."""

import re
from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "[hidden]"
"""What is shown in place of a secret."""

PARTS: Final = (
    "accesskey",
    "apikey",
    "authentication",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "creditcard",
    "csrf",
    "cvc",
    "cvv",
    "encryptionkey",
    "jwt",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "sessionid",
    "signature",
    "signingkey",
    "ssn",
    "token",
    "xsrf",
)
"""A name that has one of these in it is a secret's: `x-api-key`, `dbPassword`, `_csrf_token`.
Case, dashes, underscores and dots don't count."""

WHOLE: Final = frozenset({"auth", "dsn", "key", "otp", "pass", "pin", "salt", "sid", "session"})
"""Names that are a secret's only when there is nothing more to them."""

_APART: Final = re.compile(r"[^a-z0-9]")

# `name=value`, `name: value`, `"name": "value"` and `("name", "value")` in any text: URLs, forms,
# JSON, reprs. PERF: a name starts at one place only and is never given back letter by letter: the
# time is linear.
_NAME: Final = re.compile(
    r"""(?<![\w.%\[\]-])([\w.%\[\]-]++)"""
    r"""(?:\\?["']?\s{0,4}[=:]+\s{0,4}|\\?["'],\s{0,4}(?=b?\\?["']))"""
)
# A value in quotes goes on to the quote that ends it, another to what can't be part of it.
_VALUE: Final = re.compile(
    r"""\\+["'].*?(?:\\+["']|$)|b?"(?:[^"\\]|\\.)*"?|b?'(?:[^'\\]|\\.)*'?|[^\s&;,"'(){}<>]+""",
    re.DOTALL,
)
_SCHEME: Final = re.compile(r"\b((?:basic|bearer|digest|negotiate)\s+)[\w.~+/=-]+", re.IGNORECASE)
_USERINFO: Final = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)")


class Redaction:
    """Tells names of secrets from others.

    names: further ones; each counts wherever it is part of a name.
    """

    __slots__ = ("_parts",)

    def __init__(self, names: Iterable[str] = ()) -> None:
        if isinstance(names, str):
            raise ValueError("secrets takes a list of names, not one name")
        more = tuple(part for name in names if (part := _plain(name)))
        self._parts = PARTS + more

    def hides(self, name: object) -> bool:
        """Whether what goes by this name is a secret.

        >>> redaction = Redaction()
        >>> [redaction.hides(name) for name in ("X-Api-Key", "apiKey", "key", "keyboard")]
        [True, True, True, False]
        """
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        if not isinstance(name, str):
            return False
        plain = _plain(name)
        return plain in WHOLE or any(part in plain for part in self._parts)

    def text(self, text: str) -> str:
        """`text` without the secrets that its own words name: queries, JSON, reprs, URLs.

        >>> Redaction().text("/login?token=abc&page=2, postgres://ann:pw@db/app")
        '/login?token=[hidden]&page=2, postgres://ann:[hidden]@db/app'
        """
        text = _USERINFO.sub(rf"\g<1>{HIDDEN}", text)
        text = _SCHEME.sub(rf"\g<1>{HIDDEN}", text)
        pieces = []
        position = 0
        while match := _NAME.search(text, position):
            end = match.end()
            pieces.append(text[position:end])
            position = end
            if self.hides(_decoded(match[1])) and (value := _VALUE.match(text, end)):
                pieces.append(HIDDEN)
                position = value.end()
        pieces.append(text[position:])
        return "".join(pieces)


def _plain(name: str) -> str:
    return _APART.sub("", name.lower())


def _decoded(name: str) -> str:
    if "%" not in name:
        return name
    from urllib.parse import unquote

    return unquote(name, errors="replace")
