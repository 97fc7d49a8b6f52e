"""`wsgi.file_wrapper`: a file as a response (PEP 3333, "Optional Platform-Specific File Handling").

A regular file leaves by sendfile(2), and no thread waits for it; anything else that can be read is
read block by block.
"""

import io
import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple


class FileRange(NamedTuple):
    """What is left to read of a file: path, offset and length in bytes."""

    path: str
    offset: int
    length: int


class FileWrapper:
    """An iterable over a file-like object in blocks of `block_size` bytes."""

    def __init__(self, filelike: Any, block_size: int = 65_536) -> None:
        self.filelike = filelike
        self.block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        while data := self.filelike.read(self.block_size):
            yield data

    def close(self) -> None:
        """Close the file, where it can be closed."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()


def file_range(filelike: Any) -> FileRange | None:
    """The file behind `filelike`; None where reading it is the only way.

    Plain files only: a GzipFile has a descriptor too, but other bytes are read from it.
    """
    if type(filelike) not in (io.FileIO, io.BufferedReader, io.BufferedRandom):
        return None
    raw = filelike if type(filelike) is io.FileIO else filelike.raw
    if type(raw) is not io.FileIO:
        return None
    name: Any = raw.name
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if not isinstance(name, str):  # a temporary file without a name
        return None
    try:
        facts = os.fstat(raw.fileno())
        # The name may be another file's by now.
        if not stat.S_ISREG(facts.st_mode) or not os.path.samestat(facts, os.stat(name)):
            return None
        offset = filelike.tell()
    except (OSError, ValueError):
        return None
    return FileRange(os.path.abspath(name), offset, max(0, facts.st_size - offset))


def position_of(file: Any) -> int:
    """Where reading would go on: in an open file, or the descriptor of one."""
    if isinstance(file, int):
        return os.lseek(file, 0, os.SEEK_CUR)
    position: int = file.tell()
    return position


def move_to(file: Any, position: int) -> None:
    """Have reading go on from `position`."""
    if isinstance(file, int):
        os.lseek(file, position, os.SEEK_SET)
    else:
        file.seek(position)
