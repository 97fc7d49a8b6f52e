"""Endpoint: a route of one router, compiled into the function that tries and runs it.

`call(conn, segments)` gives NO_MATCH when host, conversions or guard refuse the request; else it
prepares the conn, runs plugs and handler, and gives the conn or an awaitable of it. segments are
decoded, and begin with an empty one, as path.split("/") yields them.
"""

from collections.abc import Callable, Sequence
from typing import Any

from plugpy.conn.conn import Conn
from plugpy.pipeline.codegen import build
from plugpy.pipeline.compiler import Application, compile_pipeline, is_trusted, trusted
from plugpy.router.binding import Arguments
from plugpy.router.converters import (
    MAX_INTEGER_DIGITS,
    NO_MATCH,
    Converter,
    read_integer,
)
from plugpy.router.results import finish, finish_checked, finish_plug
from plugpy.router.route import Route

ARGUMENTS = "plugpy_arguments"
DISPATCH = "plugpy_dispatch"
"""Keys of conn.private for what goes from a match to plugs, and from there to the handler."""

Call = Callable[[Conn, Sequence[str]], Any]


class Endpoint:
    """A compiled route. call: at the top; nested: below a forward, where variables of both count.
    direct: (function, route, finish) for the static table. parts: the plugs of this route alone.
    handler: what is called in the end."""

    __slots__ = (
        "arguments",
        "call",
        "direct",
        "handler",
        "index",
        "methods",
        "nested",
        "parts",
        "route",
    )

    def __init__(
        self,
        route: Route,
        methods: frozenset[str] | None,
        handler: Callable[..., Any],
        arguments: Arguments,
        plugs: Sequence[Any],
        owner: Any,
        *,
        prepare_only: bool,
    ) -> None:
        """prepare_only: `call` leaves the running to the plug "dispatch"."""
        self.route = route
        self.index = route.index
        self.methods = methods
        self.arguments = arguments
        self.handler = handler
        finisher = finish if route.to is None else finish_plug
        if is_trusted(handler):
            finisher = finish_checked
        values: dict[str, Any] = {
            "NO_MATCH": NO_MATCH,
            "route": route,
            "handler": handler,
            "finish": finisher,
            "host": route.host,
            "guard": route.when,
            "assigns": route.assigns,
            "private": route.private,
            "ARGUMENTS": ARGUMENTS,
            "DISPATCH": DISPATCH,
        }
        for number, name in enumerate(route.spec.names):
            values[f"k{number}"] = name
        for number, converter in arguments.converters.items():
            values[f"read{number}"] = converter.read
        apart = bool(plugs) or prepare_only
        self.parts: tuple[Any, ...] = ()
        if apart:
            values["run"] = self._run(plugs, values, owner)
            self.parts = values["run"].parts
        way = "prepare" if prepare_only else "run" if apart else "straight"
        self.call: Call = build(self._source(way, nested=False), "call", "route", values)
        # Made by the first request below a forward: most routers are never forwarded to.
        self.nested: Call = lambda conn, segments: self._make_nested(way, values)(conn, segments)
        conditions = route.host is not None or route.when is not None
        self.direct: tuple[Callable[[Conn], Any], Route, Any] | None = None
        if route.spec.static and not conditions:
            if apart or route.assigns or route.private or arguments.source != "conn":
                self.direct = (self._without_segments(), route, finish_checked)
            else:
                self.direct = (handler, route, finisher)

    def _make_nested(self, way: str, values: dict[str, Any]) -> Call:
        self.nested = build(self._source(way, nested=True), "call", "route", values)
        return self.nested

    def _without_segments(self) -> Callable[[Conn], Any]:
        call = self.call

        def static(conn: Conn) -> Any:
            return call(conn, ())

        return static

    def _run(self, plugs: Sequence[Any], values: dict[str, Any], owner: Any) -> Application:
        """Plugs and then the handler, whose arguments wait in conn.private."""
        lines = ["def invoke(conn):"]
        numbers = sorted(self.arguments.converters)
        if numbers:
            names = "".join(f"a{number}, " for number in numbers)
            lines.append(f"    {names}= conn.private.pop(ARGUMENTS)")
        lines += self._invoke()
        invoke = trusted(build("\n".join(lines) + "\n", "invoke", "route", values))
        return compile_pipeline([*plugs, invoke], title=self.route.pattern, owner=owner)

    def _invoke(self) -> list[str]:
        if self.arguments.source == "conn" and is_trusted_finish(self.route):
            return ["    return handler(conn)"]
        return [
            f"    result = handler({self.arguments.source})",
            "    if result is conn:",
            "        return conn",
            "    return finish(conn, result, route)",
        ]

    def _source(self, way: str, nested: bool) -> str:
        route, spec = self.route, self.route.spec
        lines = ["def call(conn, segments):"]
        if route.host is not None:
            test = "conn.host.startswith(host)" if route.host.endswith(".") else "conn.host == host"
            lines += [f"    if not {test}:", "        return NO_MATCH"]
        items: list[str] = []
        number = 0
        for position, segment in enumerate(spec.segments, start=1):
            if segment.name is None:
                continue
            if segment.name.startswith("_") and number not in self.arguments.converters:
                number += 1
                continue
            end = f"-{len(segment.suffix)}" if segment.suffix else ""
            cut = "" if segment.plain else f"[{len(segment.prefix)}:{end}]"
            lines.append(f"    v{number} = segments[{position}]{cut}")
            if not segment.name.startswith("_"):
                items.append(f"k{number}: v{number}")
            number += 1
        if spec.glob is not None:
            if not spec.glob.startswith("_") or number in self.arguments.converters:
                lines.append(f"    v{number} = list(segments[{len(spec.segments) + 1}:])")
            if not spec.glob.startswith("_"):
                items.append(f"k{number}: v{number}")
        for number, converter in self.arguments.converters.items():
            lines += _conversion(number, converter)
        if nested and items:
            items.insert(0, "**conn.path_params")
        if route.when is not None:
            lines += ["    saved = conn.path_params"]
        if items:
            lines.append(f"    conn.path_params = {{{', '.join(items)}}}")
        if route.when is not None:
            lines += [
                "    if not guard(conn):",
                "        conn.path_params = saved",
                "        return NO_MATCH",
            ]
        lines.append(f"    conn.route = {'route.under(conn.route)' if nested else 'route'}")
        if route.assigns:
            lines.append("    conn.assigns.update(assigns)")
        if route.private:
            lines.append("    conn.private.update(private)")
        if way == "straight":
            lines += self._invoke()
        else:
            numbers = sorted(self.arguments.converters)
            if numbers:
                values = "".join(f"a{number}, " for number in numbers)
                lines.append(f"    conn.private[ARGUMENTS] = ({values})")
            if way == "run":
                lines.append("    return run(conn)")
            else:
                lines += ["    conn.private[DISPATCH] = run", "    return conn"]
        return "\n".join(lines) + "\n"

    def fits(self, conn: Conn, segments: Sequence[str]) -> bool:
        """Whether host and conversions accept the request; guards are not asked."""
        host = self.route.host
        if host is not None and not (
            conn.host.startswith(host) if host.endswith(".") else conn.host == host
        ):
            return False
        return self.converts(segments, pure=False)

    def converts(self, segments: Sequence[str], *, pure: bool) -> bool:
        """Whether the path variables convert. pure: ask only converters that may be asked at
        start, and take the others as accepting."""
        variables = [s for s in enumerate(self.route.spec.segments, start=1) if s[1].name]
        for number, (position, segment) in enumerate(variables):
            converter = self.arguments.converters.get(number)
            if converter is None or (pure and not converter.pure):
                continue
            value = segment.value(segments[position])
            if value is None or converter.read(value) is NO_MATCH:
                return False
        return True


def is_trusted_finish(route: Route) -> bool:
    """Whether the handler of a route checks itself what it gives back."""
    return route.forward


def _conversion(number: int, converter: Converter) -> list[str]:
    read = [
        f"a{number} = read{number}(v{number})",
        f"if a{number} is NO_MATCH:",
        "    return NO_MATCH",
    ]
    if converter.read is read_integer:
        # PERF: 0.15 us instead of 0.3 us for the common case, digits.
        value = f"v{number}"
        quick = f"len({value}) <= {MAX_INTEGER_DIGITS} and {value}.isascii() and {value}.isdigit()"
        return [
            f"    if {quick}:",
            f"        a{number} = int({value})",
            "    else:",
            *("        " + line for line in read),
        ]
    if converter.name in ("str", "list[str]"):
        return [f"    a{number} = v{number}"]
    return ["    " + line for line in read]
