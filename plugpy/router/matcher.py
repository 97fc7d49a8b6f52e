"""The matcher: from a conn to the endpoint that serves it, in definition order.

Three ways, each only where the one before does not answer: the table of static paths (one dict
hit), the straight way down the segment tree, and all candidates of the tree in turn.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from plugpy.conn.conn import Conn
from plugpy.conn.errors import InvalidPathError
from plugpy.conn.fields import decode_segment
from plugpy.pipeline.compiler import Tail
from plugpy.router.converters import NO_MATCH
from plugpy.router.endpoint import Endpoint
from plugpy.router.route import STANDARD_METHODS
from plugpy.router.tree import Node

MAX_SEGMENTS = 256
"""Segments of a path that are looked at: longer paths are a 414. Patterns are never that deep."""

Refuse = Callable[[Conn, Sequence[str], bool], Any]


class Matcher:
    """The frozen routes of one router. refuse: called with the conn, its decoded segments, and
    whether the router was forwarded to, when no endpoint serves the request."""

    __slots__ = ("_static", "endpoints", "methods", "refuse", "root")

    def __init__(self, endpoints: Sequence[Endpoint], refuse: Refuse) -> None:
        self.endpoints = endpoints
        self.refuse = refuse
        named = {name for endpoint in endpoints for name in endpoint.methods or ()}
        extra = sorted(named.difference(STANDARD_METHODS))
        self.methods = (*STANDARD_METHODS, *extra)
        self.root = Node()
        for endpoint in endpoints:
            self.root.add(endpoint)
        self.root.freeze(self.methods)
        self._static = self._static_table()

    def _static_table(self) -> dict[str, dict[str, Any]]:
        """method -> raw path -> (function, route, finish), where that endpoint comes first of all
        that match the path."""
        table: dict[str, dict[str, Any]] = {method: {} for method in self.methods}
        seen: set[str] = set()
        for endpoint in self.endpoints:
            spec = endpoint.route.spec
            if not spec.static:
                continue
            texts = [segment.prefix for segment in spec.segments]
            path = "/" + "/".join(quote(text, safe="!$&'()*+,;=:@~") for text in texts)
            if path in seen:
                continue
            seen.add(path)
            segments = ("", *texts)
            candidates = [
                candidate
                for candidate in self.root.candidates(segments)
                if candidate.converts(segments, pure=True)
            ]
            for method in self.methods:
                best = next(
                    (c for c in candidates if c.methods is None or method in c.methods), None
                )
                if best is not None and best.direct is not None:
                    table[method][path] = best.direct
                    if path != "/":
                        table[method][path + "/"] = best.direct
        return table

    def tail(self) -> Tail:
        """The matcher as the end of a compiled pipeline.

        PERF: the common case, GET of a static path, is here and not in `search`: a function call
        and a dict hit less.
        """
        lines = [
            "if conn.method == 'GET':",
            "    found = static_get(conn.route_path)",
            "    if found is not None:",
            "        handler, conn.route, finish = found",
            "        result = handler(conn)",
            "        if result is conn:",
            "            return conn",
            "        return finish(conn, result, conn.route)",
            "return search(conn)",
        ]
        return Tail(lines, {"static_get": self._static["GET"].get, "search": self.search()})

    def search(self) -> Callable[[Conn], Any]:
        """The function that finds and runs an endpoint for any request."""
        root = self.root
        static = self._static
        refuse = self.refuse

        def search(conn: Conn) -> Any:
            method = conn.method
            path = conn.route_path
            nested = False
            if path is None:
                # A plug or a forward has assigned path_info.
                nested = bool(conn.script_name)
                segments = normal_segments("/" + "/".join(conn.path_info))
            else:
                if method != "GET":  # `tail` has looked for those
                    table = static.get(method)
                    if table is not None:
                        found = table.get(path)
                        if found is not None:
                            handler, conn.route, finish = found
                            result = handler(conn)
                            return conn if result is conn else finish(conn, result, found[1])
                segments = normal_segments(path) if "%" in path else path.split("/")
            node = root
            for segment in segments:
                child = node.child(segment)
                if child is None:
                    child = node.variable
                    if child is None or not segment:
                        # PERF: only a path that leads nowhere is searched for empty segments.
                        if "" in segments[1:] or segments[0] or len(segments) > MAX_SEGMENTS:
                            segments = normal_segments(path or "")
                            endpoint = straight(root, segments, method)
                        else:
                            endpoint = node.fallback.get(method)
                        break
                node = child
            else:
                endpoint = node.fast.get(method)
            if endpoint is not None:
                result = (endpoint.nested if nested else endpoint.call)(conn, segments)
                if result is not NO_MATCH:
                    return result
            for candidate in root.candidates(segments):
                if candidate is endpoint:
                    continue
                methods = candidate.methods
                if methods is None or method in methods:
                    result = (candidate.nested if nested else candidate.call)(conn, segments)
                    if result is not NO_MATCH:
                        return result
            return refuse(conn, segments, nested)

        return search

    def allowed(self, conn: Conn, segments: Sequence[str]) -> set[str]:
        """The methods that some route of the path takes; guards are not asked."""
        found: set[str] = set()
        for endpoint in self.root.candidates(segments):
            if endpoint.methods is not None and endpoint.fits(conn, segments):
                found |= endpoint.methods
        return found


def straight(root: Node, segments: Sequence[str], method: str) -> Endpoint | None:
    """The endpoint at the end of the straight way, None where all candidates must be asked."""
    node = root
    for segment in segments:
        child = node.child(segment) or node.variable
        if child is None:
            return node.fallback.get(method)
        node = child
    return node.fast.get(method)


def normal_segments(path: str) -> list[str]:
    """The decoded segments of a raw path behind an empty one, empty segments dropped.

    Raises InvalidPathError: 400 when not UTF-8, 414 for more than MAX_SEGMENTS.
    """
    segments = [segment for segment in path.split("/") if segment]
    if len(segments) > MAX_SEGMENTS:
        raise InvalidPathError(
            f"the path has {len(segments)} segments, {MAX_SEGMENTS} are allowed", status=414
        )
    if "%" in path:
        segments = [decode_segment(segment) for segment in segments]
    return ["", *segments]
