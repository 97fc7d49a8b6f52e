"""Multipart: forms with files (Plug.Parsers.MULTIPART, RFC 7578)."""

import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from plugpy.conn import BadEncodingError, Conn, RequestTooLargeError
from plugpy.conn.media_type import MediaType, params
from plugpy.conn.query import Decoder
from plugpy.plugs.parsers.parser import limit_of
from plugpy.upload import Upload, UploadWriter

FIELD_LENGTH: Final = 1_000_000
"""Bytes of a field that is no file."""

MAX_FILES: Final = 100
"""Files of one body."""

PIECE: Final = 262_144
"""Bytes that are kept of a file before they are written."""

# Browsers send the backslashes of a name as they are, and escape nothing but a quote.
_BACKSLASH = re.compile(r'\\(?!")')

# RFC 8187: charset'language'percent-encoded text.
_EXTENDED = re.compile(r"(?i:utf-8)'[^']*'(.*)", re.DOTALL)


class Multipart:
    """Reads `multipart/form-data` and `multipart/mixed`; files go to disk as they arrive.

    length          bytes of the whole body at most, headers and skipped parts included; None for
                    the limit of the route or the server (8 MB)
    field_length    bytes of a field that is no file, 1,000,000
    file_length     bytes of one file; None: no limit but `length`
    max_files       files at most, 100
    validate_utf8   True: fields must be UTF-8; False puts replacement characters. Names always
                    must
    directory       where files are kept for the time of the request; None: PLUG_TMPDIR, else the
                    system's folder for temporary files

    Fields are text, files are `plugpy.upload.Upload`. Parts without a name are dropped, and so is
    the empty file that browsers send where none was chosen. All limits are answered by 413.
    """

    __slots__ = (
        "_directory",
        "_field_length",
        "_file_length",
        "_length",
        "_max_files",
        "_validate_utf8",
    )

    def __init__(
        self,
        *,
        length: int | None = None,
        field_length: int = FIELD_LENGTH,
        file_length: int | None = None,
        max_files: int = MAX_FILES,
        validate_utf8: bool = True,
        directory: str | None = None,
    ) -> None:
        self._length = length
        self._field_length = field_length
        self._file_length = file_length
        self._max_files = max_files
        self._validate_utf8 = validate_utf8
        self._directory = directory

    def accepts(self, kind: MediaType) -> bool:
        """Whether the body has parts that are read here."""
        return kind.type == "multipart" and kind.subtype in ("form-data", "mixed")

    async def parse(self, conn: Conn, kind: MediaType) -> dict[str, Any]:
        """Fields and uploads by name. Raises BadRequestError, BadEncodingError (400),
        RequestTooLargeError (413); then no file is left behind."""
        conn.private["plug_multipart_length"] = limit_of(conn, self._length)
        decoder = Decoder()
        uploads: list[Upload] = []
        try:
            while (headers := await conn.read_part_headers()) is not None:
                name, filename = self._names(dict(reversed(headers)).get("content-disposition"))
                if name is None or filename == "":
                    continue  # `read_part_headers` skips its body
                if filename is None:
                    decoder.add(name, await self._field(conn, name))
                else:
                    if len(uploads) >= self._max_files:
                        raise RequestTooLargeError(
                            f"the body has more than {self._max_files} files"
                        )
                    kinds = [value for key, value in headers if key == "content-type"]
                    upload = await self._file(conn, filename, kinds[0] if kinds else None)
                    uploads.append(upload)
                    decoder.add(name, upload)
            return decoder.done()
        except BaseException:
            for upload in uploads:
                upload.delete()
            raise

    def _names(self, disposition: str | None) -> tuple[str | None, str | None]:
        """Name and file name of a part; a file name without its folders (RFC 7578 section 4.2)."""
        if disposition is None:
            return None, None
        found = params(_BACKSLASH.sub(r"\\\\", disposition.partition(";")[2]))
        name = found.get("name")
        filename = found.get("filename")
        extended = _EXTENDED.fullmatch(found.get("filename*", ""))
        if extended is not None:
            filename = self._text(unquote_to_bytes(extended[1]), "a file name")
        if filename:
            filename = re.split(r"[/\\]", filename)[-1].replace("\0", "") or "unnamed"
        return name, filename

    def _text(self, data: bytes, what: str) -> str:
        try:
            return data.decode("utf-8", "strict" if self._validate_utf8 else "replace")
        except UnicodeDecodeError:
            raise BadEncodingError(f"{what} is not UTF-8") from None

    async def _field(self, conn: Conn, name: str) -> str:
        # One byte over the limit is enough to know.
        part = await conn.read_part_body(length=self._field_length + 1)
        if len(part.data) > self._field_length:
            raise RequestTooLargeError(
                f"a field of the form has more than {self._field_length} bytes"
            )
        return self._text(part.data, "a field of the form")

    async def _file(self, conn: Conn, filename: str, content_type: str | None) -> Upload:
        writer = UploadWriter(filename, content_type, self._directory)
        try:
            while True:
                part = await conn.read_part_body(length=PIECE)
                if self._file_length is not None and writer.size + len(part.data) > (
                    self._file_length
                ):
                    raise RequestTooLargeError(f"a file has more than {self._file_length} bytes")
                await writer.write(part.data)
                if not part.more:
                    return writer.finish(conn)
        except BaseException:
            writer.abandon()
            raise
