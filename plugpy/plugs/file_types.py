"""The media type of a file by the ending of its name."""

from mimetypes import MimeTypes
from typing import Final

TEXT_TYPES: Final = frozenset(
    {"application/javascript", "application/json", "application/xml", "image/svg+xml"}
)
"""Types beside text/* whose files are UTF-8."""

# Not the system's tables: the same file has the same type on every machine.
_TYPES: Final = MimeTypes(filenames=())
for _kind, _ending in (
    ("application/manifest+json", ".webmanifest"),
    ("application/wasm", ".wasm"),
    ("font/otf", ".otf"),
    ("font/ttf", ".ttf"),
    ("font/woff", ".woff"),
    ("font/woff2", ".woff2"),
    ("image/avif", ".avif"),
    ("image/webp", ".webp"),
    ("image/x-icon", ".ico"),
    ("text/javascript", ".js"),
    ("text/javascript", ".mjs"),
    ("text/markdown", ".md"),
):
    _TYPES.add_type(_kind, _ending)


def content_type_of(ending: str) -> str:
    """The content-type of files whose names end so, with a charset where they are text.

    >>> content_type_of(".html"), content_type_of(".png"), content_type_of(".odd")
    ('text/html; charset=utf-8', 'image/png', 'application/octet-stream')
    """
    kind = _TYPES.guess_type(f"x{ending}")[0] or "application/octet-stream"
    if kind.startswith("text/") or kind in TEXT_TYPES:
        kind += "; charset=utf-8"
    return kind
