"""The example of the grid in Django, both as ASGI and as WSGI."""

import asyncio
import json
import threading
import typing
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    SECRET_KEY="only for the grid",
    ROOT_URLCONF=__name__,
    LOGGING_CONFIG=None,
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
django.setup()

# Something of 100 KB that is there everywhere.
FILE = Path(typing.__file__)

seen = {"bytes": 0}
done: list[str] = []
go = threading.Event()


def index(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse("Hello from Django", content_type="text/plain")


def query(request: HttpRequest) -> HttpResponseBase:
    pairs = [(key, value) for key, values in request.GET.lists() for value in values]
    return JsonResponse(pairs, safe=False)


def echo_json(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse({"got": json.loads(request.body)}, status=201)


def form(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse(request.POST.dict())


def upload(request: HttpRequest) -> HttpResponseBase:
    file = request.FILES["file"]
    return JsonResponse({"name": file.name, "size": len(file.read()), "note": request.POST["note"]})


def stream(request: HttpRequest) -> HttpResponseBase:
    def pieces() -> Iterator[bytes]:
        yield b"first "
        assert go.wait(10)
        go.clear()
        yield b"second"

    async def pieces_of_asgi() -> AsyncIterator[bytes]:
        yield b"first "
        assert await asyncio.to_thread(go.wait, 10)
        go.clear()
        yield b"second"

    asgi = hasattr(request, "scope")
    return StreamingHttpResponse(pieces_of_asgi() if asgi else pieces(), content_type="text/plain")


def let_go(request: HttpRequest) -> HttpResponseBase:
    go.set()
    return HttpResponse("gone")


def read(request: HttpRequest) -> HttpResponseBase:
    total = 0
    while piece := request.read(50_000):
        total += len(piece)
        seen["bytes"] = total
    return HttpResponse(str(total))


def bytes_seen(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse(str(seen["bytes"]))


def cookies(request: HttpRequest) -> HttpResponseBase:
    response = JsonResponse(request.COOKIES)
    response.set_cookie("one", "1", httponly=True)
    response.set_cookie("two", "2")
    return response


def redirect(request: HttpRequest) -> HttpResponseBase:
    return HttpResponseRedirect("/")


def error(request: HttpRequest) -> HttpResponseBase:
    raise RuntimeError("a secret")


def large(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse(b"x" * 5_000_000)


def file(request: HttpRequest) -> HttpResponseBase:
    return FileResponse(FILE.open("rb"))


def work_done(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse(" ".join(done))


def endless(request: HttpRequest) -> HttpResponseBase:
    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick"
        finally:
            done.append("left")

    async def pieces_of_asgi() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0)
        finally:
            done.append("left")

    return StreamingHttpResponse(pieces_of_asgi() if hasattr(request, "scope") else pieces())


def where(request: HttpRequest) -> HttpResponseBase:
    from django.urls import reverse

    return HttpResponse(request.build_absolute_uri(reverse("where")))


urlpatterns = [
    path("", index),
    path("query", query),
    path("json", echo_json),
    path("form", form),
    path("upload", upload),
    path("stream", stream),
    path("go", let_go),
    path("read", read),
    path("seen", bytes_seen),
    path("cookies", cookies),
    path("redirect", redirect),
    path("error", error),
    path("large", large),
    path("file", file),
    path("done", work_done),
    path("endless", endless),
    path("where", where, name="where"),
]

asgi = ASGIHandler()
wsgi = WSGIHandler()
