"""Static: files of a folder (Plug.Static, RFC 9110 sections 13 and 14)."""

import os
import stat
from collections.abc import Callable, Collection, Mapping
from importlib.resources import files
from typing import Final, Literal, NamedTuple

from plugpy.conn import Conn, InvalidPathError, decode_segment
from plugpy.conn.accept import accepted_encodings, vary_by
from plugpy.conn.conditional import evaluate, http_date, matches, parse_http_date
from plugpy.conn.ranges import parse_range
from plugpy.conn.response import validate_header
from plugpy.plugs.file_types import content_type_of

ETAG_CACHE: Final = "public"
"""cache-control for files that are asked for by their name: kept, and asked about each time."""

VERSION_CACHE: Final = "public, max-age=31536000, immutable"
"""cache-control for files that are asked for with ?vsn=: another version has another URL."""

ENCODINGS: Final = (("zstd", ".zst"), ("br", ".br"), ("gzip", ".gz"))
"""Precompressed variants, the best first: name of the coding and what the file name ends in."""


Folder = str | os.PathLike[str]


class Found(NamedTuple):
    """A file that can be sent: its path, what stat(2) says, and its coding, or None."""

    path: str
    facts: os.stat_result
    encoding: str | None


class Static:
    """Answers GET and HEAD with a file where there is one; all other requests go on.

    Options:
      at              path that the files are served below: "/static"
      from_           folder that they lie in; ("package", "static"): a folder of an installed
                      package; or a function that gives one of both, called once
      only            names at the top of the folder that may be served, files or folders; (): all
      only_matching   beginnings of such names, for names with a hash: ("favicon",)
      raise_on_missing_only  False; True: a file that is there, and left out by `only` and
                      `only_matching`, is an InvalidPathError. For development: a name with a new
                      hash is noticed
      encodings       precompressed variants to look for beside each file: a subset of "zstd", "br",
                      "gzip", such as app.js.br; ()
      cache_control_for_etags         "public"
      cache_control_for_vsn_requests  for URLs with ?vsn=..., "public, max-age=31536000, immutable"
      etag            function (path, stat result) -> text; the default is of size and time
      headers         response headers, a dict; or a function conn -> dict
      content_types   file name or ending -> type, over the usual ones: {".data": "text/csv"};
                      False: none is set, an earlier plug has done so
      dotfiles        False: files and folders whose name begins with a dot are not there
      follow_symlinks False: a link that leads out of the folder is not followed

    What is sent halts; what is missing, a folder, or left out by `only` goes on, whatever its name.
    Files go by sendfile(2). One range of bytes is sent as 206, one past the end is a 416, several
    are answered by the whole. if-none-match, if-modified-since, if-match, if-unmodified-since and
    if-range are kept to. Segments "..", "." and those with a slash, backslash, colon or NUL byte
    are answered by 400. Place it before the router. Raises ValueError for options that can't be.

    >>> from plugpy.testing import conn
    >>> Static(at="/files", from_="plugpy/plugs")(conn("GET", "/files/static.py")).status
    200
    """

    __slots__ = (
        "_at",
        "_content_types",
        "_dotfiles",
        "_encodings",
        "_etag",
        "_etag_cache",
        "_follow_symlinks",
        "_headers",
        "_only",
        "_only_matching",
        "_raise_on_missing_only",
        "_root",
        "_version_cache",
    )
    runs_before = ("CSRFProtection", "Session")

    def __init__(
        self,
        *,
        at: str,
        from_: Folder | tuple[str, str] | Callable[[], Folder | tuple[str, str]],
        only: Collection[str] = (),
        only_matching: Collection[str] = (),
        raise_on_missing_only: bool = False,
        encodings: Collection[str] = (),
        cache_control_for_etags: str | None = ETAG_CACHE,
        cache_control_for_vsn_requests: str | None = VERSION_CACHE,
        etag: Callable[[str, os.stat_result], str] | None = None,
        headers: Mapping[str, str] | Callable[[Conn], Mapping[str, str]] | None = None,
        content_types: Mapping[str, str] | Literal[False] | None = None,
        dotfiles: bool = False,
        follow_symlinks: bool = False,
    ) -> None:
        if not at.startswith("/"):
            raise ValueError(f"at is a path such as '/static', got {at!r}")
        if any(isinstance(names, str) for names in (only, only_matching, encodings)):
            raise ValueError("only, only_matching and encodings take a list of names, not one name")
        root = folder_of(from_() if callable(from_) else from_)
        unknown = set(encodings) - {name for name, _ in ENCODINGS}
        if unknown:
            known = ", ".join(name for name, _ in ENCODINGS)
            raise ValueError(f"encodings are of {known}; got {', '.join(sorted(unknown))}")
        if not callable(headers):
            for name, value in (headers or {}).items():
                validate_header(name, value)
        self._at = [segment for segment in at.split("/") if segment]
        self._root = root
        self._only = frozenset(only)
        self._only_matching = tuple(only_matching)
        self._raise_on_missing_only = raise_on_missing_only
        self._encodings = [pair for pair in ENCODINGS if pair[0] in encodings]
        self._etag_cache = cache_control_for_etags
        self._version_cache = cache_control_for_vsn_requests
        self._etag = etag or default_etag
        self._headers = headers
        self._content_types = None if content_types is False else dict(content_types or {})
        self._dotfiles = dotfiles
        self._follow_symlinks = follow_symlinks

    def __call__(self, conn: Conn) -> Conn:
        if conn.method not in ("GET", "HEAD"):
            return conn
        segments = conn.path_info
        depth = len(self._at)
        if segments[:depth] != self._at or len(segments) == depth:
            return conn
        names = [decode_segment(segment) for segment in segments[depth:]]
        if not self._is_allowed(names[0]):
            if self._raise_on_missing_only:
                self._raise_if_served(names)
            return conn
        if not are_file_names(names):
            raise InvalidPathError(f"a path that is no file name: {conn.request_path[:100]!r}")
        found = self._find(names)
        return conn if found is None else self._serve(conn, found)

    def _find(self, names: list[str]) -> Found | None:
        if not self._dotfiles and any(name.startswith(".") for name in names):
            return None
        path = os.path.join(self._root, *names)
        facts = self._look(path)
        return None if facts is None else Found(path, facts, None)

    def _raise_if_served(self, names: list[str]) -> None:
        if are_file_names(names) and self._find(names) is not None:
            raise InvalidPathError(
                f"{'/'.join(names)!r} is in the folder, and left out by `only`: add "
                f"{names[0]!r} to it, or the beginning of that name to `only_matching`"
            )

    def _is_allowed(self, name: str) -> bool:
        if not self._only and not self._only_matching:
            return True
        return name in self._only or (
            bool(self._only_matching) and name.startswith(self._only_matching)
        )

    def _look(self, path: str) -> os.stat_result | None:
        """What stat(2) says of a regular file in the folder, else None."""
        try:
            facts = os.stat(path)
            if not stat.S_ISREG(facts.st_mode):
                return None
            if not self._follow_symlinks:
                real = os.path.realpath(path)
                if os.path.commonpath([real, self._root]) != self._root:
                    return None
        except (OSError, ValueError):
            return None
        return facts

    def _serve(self, conn: Conn, found: Found) -> Conn:
        name = found.path
        ranged = conn.get_req_header("range")
        if self._encodings:
            # Also where this answer is not compressed: another client's may be.
            vary_by(conn, "accept-encoding")
            if not ranged:
                found = self._variant(conn, found)
        etag = self._put_cache_headers(conn, found)
        modified = int(found.facts.st_mtime)
        conn.put_resp_header("last-modified", http_date(modified))
        more = self._headers(conn) if callable(self._headers) else self._headers
        if more:
            conn.merge_resp_headers(more)
        verdict = evaluate(conn.method, conn, etag, modified)
        if verdict is not None:
            return conn.send_resp(verdict, b"").halt()
        if self._content_types is not None:
            conn.put_resp_header("content-type", self._type_of(name, self._content_types))
        if found.encoding is not None:
            conn.put_resp_header("content-encoding", found.encoding)
        conn.put_resp_header("accept-ranges", "bytes")
        offset, length = 0, None
        status = 200
        if ranged and self._range_holds(conn, etag, modified):
            wanted = parse_range(ranged, found.facts.st_size)
            if wanted == "unsatisfiable":
                conn.put_resp_header("content-range", f"bytes */{found.facts.st_size}")
                return conn.send_resp(416, b"").halt()
            if isinstance(wanted, tuple):
                offset, length = wanted
                last = offset + length - 1
                conn.put_resp_header(
                    "content-range", f"bytes {offset}-{last}/{found.facts.st_size}"
                )
                status = 206
        return conn.send_file(status, found.path, offset, length).halt()

    def _variant(self, conn: Conn, found: Found) -> Found:
        accepted = accepted_encodings(conn.get_req_header("accept-encoding"))
        for encoding, ending in self._encodings:
            if accepted.get(encoding, accepted.get("*", 0.0)) > 0.0:
                facts = self._look(found.path + ending)
                if facts is not None:
                    return Found(found.path + ending, facts, encoding)
        return found

    def _put_cache_headers(self, conn: Conn, found: Found) -> str | None:
        if conn.query_string.startswith("vsn=") and self._version_cache is not None:
            conn.put_resp_header("cache-control", self._version_cache)
            return None
        if self._etag_cache is None:
            return None
        conn.put_resp_header("cache-control", self._etag_cache)
        etag = self._etag(found.path, found.facts)
        if not etag.endswith('"'):
            etag = f'"{etag}"'
        conn.put_resp_header("etag", etag)
        return etag

    def _type_of(self, path: str, types: Mapping[str, str]) -> str:
        name = os.path.basename(path)
        ending = os.path.splitext(name)[1].lower()
        return types.get(name) or types.get(ending) or content_type_of(ending)

    def _range_holds(self, conn: Conn, etag: str | None, modified: int) -> bool:
        """RFC 9110 section 13.1.5: a range of another version is of no use."""
        sent = conn.get_req_header("if-range")
        if not sent:
            return True
        if '"' in sent[0]:
            return matches(sent, etag, weak=False) and sent[0].strip() != "*"
        return parse_http_date(sent) == modified


def folder_of(place: Folder | tuple[str, str]) -> str:
    """The folder that `from_` means, without links. Raises ValueError where there is none."""
    try:
        if isinstance(place, tuple):
            package, folder = place
            path = str(files(package).joinpath(folder))
        else:
            path = os.fspath(place)
    except (TypeError, ValueError, ModuleNotFoundError) as error:
        raise ValueError(
            f"from_ is a folder, or a pair of package and folder, got {place!r}: {error}"
        ) from error
    if not os.path.isdir(path):
        raise ValueError(f"from_ is a folder that exists, got {path!r}")
    return os.path.realpath(path)


def are_file_names(names: list[str]) -> bool:
    """Whether no segment, decoded, leads elsewhere."""
    return not any(name in (".", "..") or any(sign in name for sign in "/\\:\0") for name in names)


def default_etag(path: str, facts: os.stat_result) -> str:
    """Of size and time of change, to the nanosecond: no file need be read."""
    return f"{facts.st_size:x}-{facts.st_mtime_ns:x}"
