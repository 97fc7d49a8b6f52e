"""Path patterns: `/users/:id`, `/files/:name.json`, `/static/*path` (Plug.Router.Utils).

A pattern is split at "/", empty segments dropped. A segment is text, or text with one variable:
`:name`, `prefix-:name`, `:name.suffix`; the last may be `*name`, which takes all that is left.
`\\:` and `\\*` stand for the characters themselves. A request's segments are percent-decoded first,
so the text of a pattern is written decoded.
"""

import re
from typing import NamedTuple

from plugpy.router.errors import InvalidSpecError

_MARK = re.compile(r"\\[:*]|[:*]")
_NAME = re.compile(r"[a-z_][A-Za-z0-9_]*")


class Segment(NamedTuple):
    """One segment: `prefix` + value of the variable + `suffix`; `name` None means plain text."""

    prefix: str
    name: str | None = None
    suffix: str = ""

    @property
    def plain(self) -> bool:
        """Whether the variable is the whole segment."""
        return self.name is not None and not self.prefix and not self.suffix

    def value(self, segment: str) -> str | None:
        """The variable's value in a decoded segment, never empty; None where it does not fit."""
        start, end = len(self.prefix), len(segment) - len(self.suffix)
        if end <= start or not segment.startswith(self.prefix):
            return None
        return segment[start:end] if segment.endswith(self.suffix) else None


class Pattern:
    """A parsed pattern. text: as written, with one leading slash. glob: the name of the variable
    that takes the rest, or None. names: all variables, in order."""

    __slots__ = ("glob", "names", "segments", "text")

    def __init__(self, text: str, segments: tuple[Segment, ...], glob: str | None) -> None:
        self.text = text
        self.segments = segments
        self.glob = glob
        names = [segment.name for segment in segments if segment.name is not None]
        self.names = (*names, glob) if glob is not None else tuple(names)

    @property
    def static(self) -> bool:
        """Whether the pattern is text alone."""
        return not self.names

    @property
    def shape(self) -> tuple[object, ...]:
        """Equal for patterns that match the same paths but for conversions."""
        parts = [(s.prefix, s.name is not None, s.suffix) for s in self.segments]
        return (*parts, self.glob is not None)

    def __repr__(self) -> str:
        return f"<Pattern {self.text}>"


def split(path: str) -> list[str]:
    """The segments of a path or pattern, empty ones dropped (Plug.Router.Utils.split/1)."""
    return [segment for segment in path.split("/") if segment]


def parse(path: str) -> Pattern:
    """Parse a pattern. Raises InvalidSpecError that says what is wrong with it.

    Source: Plug.Router.Utils.build_path_match/2.
    """
    if not isinstance(path, str):
        raise InvalidSpecError(f"a path pattern is a str such as '/users/:id', got {path!r}")
    parts = split(path)
    segments: list[Segment] = []
    glob = None
    for index, part in enumerate(parts):
        segment, is_glob = _parse_segment(part, path)
        if is_glob:
            if index < len(parts) - 1:
                raise InvalidSpecError(
                    f"a glob (*name) takes the rest of the path, so it must be last: {part!r} in "
                    f"{path!r}"
                )
            glob = segment.name
        else:
            segments.append(segment)
    pattern = Pattern("/" + "/".join(parts), tuple(segments), glob)
    for name in pattern.names:
        if pattern.names.count(name) > 1:
            raise InvalidSpecError(f"the variable {name!r} occurs twice in {path!r}")
    return pattern


def _parse_segment(part: str, path: str) -> tuple[Segment, bool]:
    marks = [mark for mark in _MARK.finditer(part) if not mark.group().startswith("\\")]
    if not marks:
        return Segment(_unescape(part)), False
    if len(marks) > 1:
        raise InvalidSpecError(
            f"only one variable (:name or *name) per path segment, got {part!r} in {path!r}"
        )
    mark = marks[0]
    prefix = _unescape(part[: mark.start()])
    name = _NAME.match(part, mark.end())
    if name is None:
        raise InvalidSpecError(
            f"{mark.group()!r} in {path!r} must be followed by a name that begins with a lowercase "
            f"letter or an underscore; for the character itself write '\\{mark.group()}'"
        )
    suffix = part[name.end() :]
    if mark.group() == "*":
        if prefix or suffix:
            raise InvalidSpecError(
                f"a glob is a whole segment, without prefix or suffix: got {part!r} in {path!r}"
            )
        return Segment("", name.group()), True
    if suffix[:1].isalnum():  # a letter outside ASCII
        raise InvalidSpecError(
            f"the name of a variable has ASCII letters, digits and underscores only, got {part!r} "
            f"in {path!r}"
        )
    return Segment(prefix, name.group(), _unescape(suffix)), False


def _unescape(text: str) -> str:
    return text.replace("\\:", ":").replace("\\*", "*")
