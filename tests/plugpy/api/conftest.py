"""What the tests of typed handlers share: asking a router, by either library."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from plugpy.router import Router
from plugpy.testing import LiveServer, SentResponse, acall, conn, sent_resp

Ask = Callable[..., Any]


@pytest.fixture
def ask() -> Ask:
    """`await ask(handler_or_router, "GET", "/x", body, headers, path="/x")`: the answer, also to
    what is raised."""

    async def ask(
        target: Any,
        method: str = "GET",
        path: str = "/",
        body: Any = None,
        headers: Any = None,
        *,
        route: str | None = None,
        before: Any = (),
    ) -> SentResponse:
        router = target
        if not isinstance(target, Router):
            router = Router(plugs=before)
            router.match(route or path.partition("?")[0], target)
        if isinstance(body, dict | list):
            body = json.dumps(body)
            headers = {"content-type": "application/json", **(headers or {})}
        sent = conn(method, path, b"" if body is None else body, headers or ())
        try:
            await acall(router, sent)
        except Exception as error:
            from plugpy.http.failure import answer_failure

            answer_failure(sent, error, debug=False)
        return sent_resp(sent)

    return ask


@pytest.fixture
def faults() -> Callable[[SentResponse], list[tuple[str, str, str]]]:
    """The faults of a 422: (in, name or pointer, detail)."""

    def found(response: SentResponse) -> list[tuple[str, str, str]]:
        assert response.status == 422, response.body
        assert dict(response.headers)["content-type"] == "application/problem+json"
        said = json.loads(response.body)
        assert said["status"] == 422
        assert said["title"] == "Unprocessable Content"
        return [
            (item["in"], item.get("name", item.get("pointer", "")), item["detail"])
            for item in said["errors"]
        ]

    return found


@pytest.fixture
def serve() -> Iterator[Callable[..., httpx.Client]]:
    """`serve(router, **options)`: a client of a running server."""
    with ExitStack() as stack:

        def serve(router: Router, **options: Any) -> httpx.Client:
            server = LiveServer(router, **options)
            stack.callback(server.stop)
            return stack.enter_context(httpx.Client(base_url=server.url))

        yield serve
