"""Which route serves a request, and why the ones before it do not: `plugpy routes --info`."""

from dataclasses import dataclass

from plugpy.conn import Conn
from plugpy.pipeline.steps import describe
from plugpy.router import Router
from plugpy.router.endpoint import Endpoint
from plugpy.router.matcher import normal_segments
from plugpy.testing import conn as make_conn


@dataclass(frozen=True, slots=True)
class Attempt:
    """One route that was tried. path: through all forwards. verdict: a phrase such as "matches" or
    "another method". variables: of a match, still as text."""

    methods: str
    path: str
    handler: str
    verdict: str
    matches: bool
    variables: dict[str, str | list[str]]


def explain(router: Router, method: str, target: str, host: str = "localhost") -> list[Attempt]:
    """The routes in the order in which they are tried, up to the one that serves the request.

    Handlers and plugs do not run; a guard (`when`) does. The last attempt matches, or none does.
    """
    conn = make_conn(method, target, headers={"host": host})
    # Head, or the router itself, serves HEAD by the route of GET.
    segments = normal_segments(conn.request_path)
    attempts: list[Attempt] = []
    _try_all(router, conn, segments, "", attempts, 0)
    return attempts


def _try_all(
    router: Router,
    conn: Conn,
    segments: list[str],
    prefix: str,
    attempts: list[Attempt],
    depth: int,
) -> bool:
    for endpoint in router.endpoints():
        route = endpoint.route
        verdict, variables = _try(endpoint, conn, segments)
        target = router.forwarded(route)
        path = prefix + route.pattern if route.pattern != "/" else prefix or "/"
        matches = not verdict
        attempts.append(
            Attempt(
                "*" if endpoint.methods is None else ", ".join(sorted(endpoint.methods)),
                path,
                describe(route.handler),
                verdict or ("forwards" if target is not None else "matches"),
                matches and target is None,
                variables,
            )
        )
        if not matches:
            continue
        if target is None or depth > 8:
            return True
        rest = ["", *segments[len(route.spec.segments) + 1 :]]
        below = path.removesuffix("/*_rest")
        # A router that was forwarded to answers itself: nothing after the forward is tried.
        return _try_all(target, conn, rest, below, attempts, depth + 1)
    return False


def _try(
    endpoint: Endpoint, conn: Conn, segments: list[str]
) -> tuple[str, dict[str, str | list[str]]]:
    """What speaks against the route ("" for nothing), and its path variables."""
    route, pattern = endpoint.route, endpoint.route.spec
    variables: dict[str, str | list[str]] = {}
    given = segments[1:]
    if len(given) < len(pattern.segments) or (
        pattern.glob is None and len(given) > len(pattern.segments)
    ):
        return "another path", {}
    for segment, text in zip(pattern.segments, given, strict=False):
        if segment.name is None:
            if segment.prefix != text:
                return "another path", {}
            continue
        value = segment.value(text)
        if value is None:
            return "another path", {}
        variables[segment.name] = value
    if pattern.glob is not None:
        variables[pattern.glob] = given[len(pattern.segments) :]
    if endpoint.methods is not None and conn.method not in endpoint.methods:
        return "another method", {}
    if not endpoint.fits(conn, segments):
        reason = "another host" if route.host is not None else "a variable does not convert"
        return reason, {}
    if route.when is not None and not route.when(conn):
        return f"the guard {describe(route.when)} says no", {}
    return "", {name: value for name, value in variables.items() if not name.startswith("_")}
