"""Upload: a file that came with a request (Plug.Upload).

It lies on disk under a random name and vanishes with the request, whatever its end: an answer, a
crash, a client that leaves, a handler that is killed; unless it is kept or moved. What goes on
after the request (`conn.tasks`) must be given a file that was kept.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from typing import IO, Any


class Upload:
    """A file that a client has sent.

    path           where it lies, str; gone once the request is over
    filename       what the client calls it, without folders. Never use it as a path
    content_type   what the client says that it is, or None. Never trust it
    size           bytes
    """

    __slots__ = ("__weakref__", "_vanish", "content_type", "filename", "path", "size")

    def __init__(self, path: str, filename: str, content_type: str | None, size: int) -> None:
        self.path = path
        self.filename = filename
        self.content_type = content_type
        self.size = size
        # Also at the end of the interpreter. `keep` detaches it.
        self._vanish = weakref.finalize(self, _unlink, path)

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.size} bytes>"

    def open(self) -> IO[bytes]:
        """The file, opened for reading. Raises FileNotFoundError once the request is over."""
        return open(self.path, "rb")

    async def read(self) -> bytes:
        """All of its bytes, read in a thread."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        with self.open() as file:
            return file.read()

    def keep(self) -> str:
        """Let the file outlive the request: it is yours to delete. Returns its path.

        Source: Plug.Upload.give_away/2.
        """
        self._vanish.detach()
        return self.path

    async def move(self, path: str | os.PathLike[str]) -> str:
        """Move the file to `path`, across file systems too, in a thread; it then stays.

        Raises OSError; FileExistsError where there is a file already: delete it before.
        """
        target = os.fspath(path)
        await asyncio.to_thread(_move, self.path, target)
        self._vanish.detach()
        self.path = target
        return target

    def delete_unless_kept(self) -> Callable[[], object]:
        """What the end of the request calls; it does not hold the Upload."""
        return self._vanish

    def delete(self) -> None:
        """Delete the file now (Plug.Upload.delete/1)."""
        self._vanish()


class UploadWriter:
    """Writes the pieces of an upload. size: bytes so far."""

    __slots__ = ("_content_type", "_file", "_filename", "_path", "size")

    def __init__(self, filename: str, content_type: str | None, directory: str | None) -> None:
        folder = directory or os.environ.get("PLUG_TMPDIR") or None
        # O_EXCL, a random name, readable for us alone.
        descriptor, self._path = tempfile.mkstemp(prefix="plugpy-upload-", dir=folder)
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115 - closed by finish
        self._filename = filename
        self._content_type = content_type
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Write a piece, in a thread: a slow disk must not hold the event loop."""
        if data:
            self.size += len(data)
            await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def finish(self, conn: Any) -> Upload:
        """The upload, whose file vanishes with the request of `conn`.

        Where the server does not tell when that is over (the test kit, ASGI), it vanishes with the
        Upload.
        """
        self._file.close()
        upload = Upload(self._path, self._filename, self._content_type, self.size)
        at_end = getattr(conn.adapter, "at_end", None)
        if at_end is not None and not at_end(conn, upload.delete_unless_kept()):
            upload.delete()
        return upload

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        _unlink(self._path)


def _move(source: str, target: str) -> None:
    try:
        os.link(source, target)  # unlike a rename, it replaces nobody
    except FileExistsError:
        raise
    except OSError:
        # Another file system, or one without links.
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(source, "rb") as read, open(descriptor, "wb") as written:
            shutil.copyfileobj(read, written)
    os.unlink(source)


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
