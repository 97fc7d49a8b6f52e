"""The bodies of requests: JSON, forms, and multipart with files, as a client sends them."""

import json as json_module
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from plugpy.conn.query import encode

File: TypeAlias = bytes | str | Path | tuple[str, bytes | str] | tuple[str, bytes | str, str]
"""Content; a Path, which is read; (file name, content); (file name, content, content-type)."""

BOUNDARY = "plugpy-test-boundary"

# What a browser writes for these in a name (WHATWG HTML, multipart/form-data encoding algorithm).
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def json_body(data: Any) -> tuple[bytes, str]:
    """Body and content-type of `data` as JSON."""
    return json_module.dumps(data, separators=(",", ":")).encode(), "application/json"


def form_body(fields: Mapping[str, Any]) -> tuple[bytes, str]:
    """Body and content-type of a form without files.

    >>> form_body({"user": {"name": "Ann Lee"}, "tags": ["a", "b"]})
    (b'user[name]=Ann+Lee&tags[]=a&tags[]=b', 'application/x-www-form-urlencoded')
    """
    return encode(fields).encode(), "application/x-www-form-urlencoded"


def multipart_body(
    fields: Mapping[str, Any], files: Mapping[str, File | list[File]]
) -> tuple[bytes, str]:
    """Body and content-type of a form with files, fields first (RFC 7578).

    fields: name -> value, nested dicts and lists as in `form_body`. files: name -> File, or a list
    of them for several files under one name. A file has the content-type of its name's ending,
    else application/octet-stream. Raises TypeError for a file that is none of these.
    """
    parts = [_part(name, str(value).encode()) for name, value in _flat(fields)]
    for name, given in files.items():
        for file in given if isinstance(given, list) else [given]:
            file_name, content, content_type = _opened(name, file)
            parts.append(_part(name, content, file_name, content_type))
    boundary, number = BOUNDARY, 0
    while any(boundary.encode() in part for part in parts):
        number += 1
        boundary = f"{BOUNDARY}-{number}"
    line = f"--{boundary}".encode()
    body = b"".join(b"%b\r\n%b\r\n" % (line, part) for part in parts) + line + b"--\r\n"
    return body, f"multipart/form-data; boundary={boundary}"


def _part(name: str, content: bytes, file_name: str | None = None, content_type: str = "") -> bytes:
    head = f'content-disposition: form-data; name="{name.translate(_ESCAPES)}"'
    if file_name is not None:
        head += f'; filename="{file_name.translate(_ESCAPES)}"\r\ncontent-type: {content_type}'
    return head.encode() + b"\r\n\r\n" + content


def _opened(name: str, file: Any) -> tuple[str, bytes, str]:
    content_type = None
    if isinstance(file, tuple) and len(file) in (2, 3):
        file_name, content = file[:2]
        content_type = file[2] if len(file) == 3 else None
    elif isinstance(file, Path):
        file_name, content = file.name, file.read_bytes()
    else:
        file_name, content = name, file
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes) or not isinstance(file_name, str):
        raise TypeError(
            f"the file {name!r} is bytes, a str, a Path, (name, content) or "
            f"(name, content, content-type), got {type(file).__name__}"
        )
    guessed = mimetypes.guess_type(file_name)[0]
    return file_name, content, content_type or guessed or "application/octet-stream"


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """The names that a form has for nested values: `user[name]`, `tags[]`."""
    if isinstance(value, Mapping):
        return [
            pair
            for key, inner in value.items()
            for pair in _flat(inner, f"{name}[{key}]" if name else str(key))
        ]
    if isinstance(value, list | tuple):
        return [pair for inner in value for pair in _flat(inner, f"{name}[]")]
    return [(name, value)]
