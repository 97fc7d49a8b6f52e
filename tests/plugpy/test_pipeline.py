"""Pipelines: order, halting, async plugs, wrong returns, around-plugs, options."""

import asyncio
import inspect
import logging
import threading
from functools import partial

import pytest

from plugpy.conn import Conn, PlugError
from plugpy.pipeline import (
    Pipeline,
    blocking,
    compile_pipeline,
    compiled,
    plug,
    run,
    wrap,
)
from plugpy.router import get
from plugpy.testing import conn


def mark(conn: Conn, name: str = "mark") -> Conn:
    conn.assigns.setdefault("marks", []).append(name)
    return conn


async def mark_later(conn: Conn, name: str = "later") -> Conn:
    await asyncio.sleep(0)
    return mark(conn, name)


async def mark_at_once(conn: Conn) -> Conn:
    return mark(conn, "at once")


def marks(conn: Conn) -> list[str]:
    found: list[str] = conn.assigns.get("marks", [])
    return found


def halting(conn: Conn) -> Conn:
    return mark(conn, "halting").halt()


class Adder:
    made = 0

    def __init__(self, *, name: str = "adder") -> None:
        Adder.made += 1
        self.name = name

    def __call__(self, conn: Conn) -> Conn:
        return mark(conn, self.name)


def test_plugs_run_in_order_and_may_be_anything_callable():
    application = compile_pipeline(
        [mark, partial(mark, name="partial"), Adder, (Adder, {"name": "pair"}), Adder(name="own")]
    )
    result = conn()
    assert application(result) is result
    assert marks(result) == ["mark", "partial", "adder", "pair", "own"]


def test_an_empty_pipeline_gives_the_conn_back():
    result = conn()
    assert compile_pipeline([])(result) is result


def test_a_class_is_instantiated_once():
    before = Adder.made
    application = Pipeline([Adder]).plug(Adder, name="second").compile()
    application(conn())
    application(conn())
    assert Adder.made == before + 2


def test_a_function_takes_options_as_keywords():
    result = conn()
    Pipeline().plug(mark, name="given")(result)
    assert marks(result) == ["given"]


def test_nothing_runs_on_a_conn_that_comes_in_halted():
    result = conn().halt()
    assert compile_pipeline([mark])(result) is result
    assert marks(result) == []


def test_halting_stops_the_rest():
    result = conn()
    assert compile_pipeline([mark, halting, mark])(result) is result
    assert marks(result) == ["mark", "halting"]


def test_halting_in_an_inner_pipeline_stops_the_outer_one():
    result = conn()
    Pipeline([Pipeline([halting]), mark])(result)
    assert marks(result) == ["halting"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_log_on_halt_names_who_halted(caplog, level):
    caplog.set_level(logging.DEBUG)
    compile_pipeline([mark, halting], log_on_halt=level, title="Browser")(conn())
    [record] = caplog.records
    assert record.levelname == level.upper()
    assert record.name == "plugpy.pipeline"
    assert record.getMessage() == f"Browser halted in {__name__}.halting"


async def test_log_on_halt_knows_async_plugs(caplog):
    caplog.set_level(logging.DEBUG)
    await compile_pipeline([mark_later, halting, mark], log_on_halt="info")(conn())
    assert [record.getMessage() for record in caplog.records] == [
        f"pipeline halted in {__name__}.halting"
    ]


def test_an_unknown_log_level_is_refused():
    with pytest.raises(ValueError, match="a log level is one of debug"):
        Pipeline(log_on_halt="loud")


def test_sync_plugs_make_no_awaitable():
    """Not even when the pipeline has async plugs further on that are not reached."""
    result = conn()
    assert compile_pipeline([mark, halting, mark_later])(result) is result


@pytest.mark.parametrize("position", range(4))
async def test_an_async_plug_turns_the_rest_into_a_coroutine(position):
    plugs = [mark, mark, mark]
    plugs.insert(position, mark_later)
    result = conn()
    awaitable = compile_pipeline(plugs)(result)
    assert inspect.isawaitable(awaitable)
    assert marks(result) == ["mark"] * position
    assert await awaitable is result
    assert marks(result) == ["mark"] * position + ["later"] + ["mark"] * (3 - position)


async def test_several_async_plugs_and_halting():
    result = conn()
    application = compile_pipeline([mark_later, mark_at_once, halting, mark_later])
    assert await application(result) is result
    assert marks(result) == ["later", "at once", "halting"]


async def test_any_awaitable_will_do():
    def with_future(conn: Conn) -> asyncio.Future[Conn]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(conn)
        return future

    result = conn()
    assert await compile_pipeline([with_future, mark])(result) is result
    assert marks(result) == ["mark"]


class Forgetful:
    def __call__(self, conn: Conn) -> None:
        mark(conn)


async def forgets_later(conn: Conn) -> None:
    pass


def test_a_plug_that_returns_nothing_is_named():
    for application in (compile_pipeline([Forgetful]), compile_pipeline([Forgetful, mark])):
        with pytest.raises(PlugError) as caught:
            application(conn())
        assert str(caught.value) == (
            "expected Forgetful.__call__ to return a Conn, got None (did you forget `return conn`?)"
        )


async def test_an_async_plug_that_returns_nothing_is_named():
    for plugs in ([forgets_later], [forgets_later, mark], [mark_later, forgets_later]):
        with pytest.raises(PlugError, match=r"forgets_later to return a Conn, got None \(did"):
            await compile_pipeline(plugs)(conn())
    with pytest.raises(PlugError, match=r"Forgetful.__call__ to return a Conn, got None"):
        await compile_pipeline([mark_later, Forgetful])(conn())


def test_a_plug_that_returns_another_conn_is_named():
    with pytest.raises(PlugError, match=r"<lambda> to return the Conn it was given, got another"):
        compile_pipeline([lambda _: conn("GET", "/other")])(conn())


def test_a_long_value_is_not_shown_whole():
    with pytest.raises(PlugError) as caught:
        compile_pipeline([lambda conn: "x" * 10_000])(conn())
    assert len(str(caught.value)) < 500


def test_errors_of_plugs_go_through():
    def failing(conn: Conn) -> Conn:
        raise KeyError("x")

    with pytest.raises(KeyError):
        compile_pipeline([mark, failing])(conn())


# what is no plug --------------------------------------------------------------------------------


async def asgi(scope, receive, send): ...


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "None is not a plug"),
        (42, "42 is not a plug"),
        (asgi, "looks like an ASGI application"),
        (lambda conn, other: conn, "a plug takes one conn, this takes conn, other"),
        (lambda: None, "it takes no conn"),
        (type("Empty", (), {}), "Empty is not a plug: its instances can't be called"),
    ],
)
def test_what_is_no_plug_is_refused_when_declared(wrong, message):
    with pytest.raises(TypeError, match=message):
        Pipeline([wrong])
    with pytest.raises(TypeError, match=message):
        Pipeline().plug(wrong)


def test_unknown_options_are_refused_by_name():
    with pytest.raises(TypeError, match=r"Adder has no option 'nam'; did you mean 'name'\?"):
        Pipeline().plug(Adder, nam="x")
    with pytest.raises(TypeError, match=r"mark has no option 'nme'; did you mean 'name'\?"):
        Pipeline().plug(mark, nme="x")
    with pytest.raises(TypeError, match=r"no option 'log_on_hal'; did you mean 'log_on_halt'\?"):
        Pipeline(log_on_hal="debug")
    with pytest.raises(TypeError, match=r"class Wrong: no option 'log'"):

        class Wrong(Pipeline, log="debug"):
            pass


def test_declaring_after_the_first_request_is_refused():
    pipeline = Pipeline([mark])
    pipeline(conn())
    for declare in (pipeline.plug, pipeline.wrap):
        with pytest.raises(RuntimeError, match="called on Pipeline after it was compiled"):
            declare(Adder)


# the class form ---------------------------------------------------------------------------------


class Browser(Pipeline, log_on_halt="debug"):
    def authorize(self, conn: Conn) -> Conn:
        return mark(conn, self.word)

    def __init__(self, word: str = "authorized") -> None:
        self.word = word  # no super().__init__() is needed

    plug(mark, name="first")
    for number in range(2):
        plug(Adder, name=f"loop {number}")
    plug("authorize")
    plug(authorize)


def test_a_class_declares_its_plugs_in_its_body():
    result = conn()
    Browser(word="yes")(result)
    assert marks(result) == ["first", "loop 0", "loop 1", "yes", "yes"]


def test_options_of_the_class_are_defaults_of_the_instance(caplog):
    class Halting(Pipeline, log_on_halt="info"):
        plug(halting)

    caplog.set_level(logging.DEBUG)
    Halting()(conn())
    assert [record.levelname for record in caplog.records] == ["INFO"]
    Halting(log_on_halt="error")(conn())
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]
    Halting(log_on_halt=None)(conn())
    assert len(caplog.records) == 2


def test_a_subclass_inherits_plugs_and_may_override_methods():
    class Strict(Browser):
        def authorize(self, conn: Conn) -> Conn:
            return mark(conn, "strict").halt()

    result = conn()
    Strict()(result)
    assert marks(result) == ["first", "loop 0", "loop 1", "strict"]


def test_a_subclass_that_declares_plugs_replaces_them():
    class Other(Browser):
        plug(mark, name="other")

    result = conn()
    Other()(result)
    assert marks(result) == ["other"]


def test_plugs_may_be_a_class_attribute():
    class Listed(Pipeline):
        pipeline = (mark, (Adder, {"name": "pair"}), plug(Adder, name="value"))

    result = conn()
    Listed()(result)
    assert marks(result) == ["mark", "pair", "value"]


def test_a_method_that_is_not_there_is_named():
    class Typo(Pipeline):
        plug("autorize")

        def authorize(self, conn: Conn) -> Conn:
            return conn

    with pytest.raises(TypeError, match=r"Typo has no method of that name; did you mean 'author"):
        Typo().compile()


def test_compiled_gives_the_plain_function():
    pipeline = Pipeline([mark])
    assert inspect.isfunction(compiled(pipeline))
    assert compiled(mark) is mark


# around-plugs -----------------------------------------------------------------------------------


class Around:
    def __init__(self, inner, *, name: str) -> None:
        self.inner = inner
        self.name = name

    def __call__(self, conn: Conn):
        mark(conn, f"before {self.name}")
        result = self.inner(conn)
        if result is conn:
            return mark(conn, f"after {self.name}")
        return self._later(conn, result)

    async def _later(self, conn: Conn, awaitable) -> Conn:
        await awaitable
        return mark(conn, f"after {self.name}")


def test_wrap_puts_a_plug_around_what_follows():
    pipeline = Pipeline([mark]).wrap(Around, name="a").plug(mark).wrap(Around, name="b")
    result = conn()
    pipeline.plug(halting)(result)
    assert marks(result) == [
        "mark",
        "before a",
        "mark",
        "before b",
        "halting",
        "after b",
        "after a",
    ]


async def test_wrap_goes_around_async_plugs():
    result = conn()
    application = Pipeline([wrap(Around, name="a"), mark_later, mark]).compile()
    assert await application(result) is result
    assert marks(result) == ["before a", "later", "mark", "after a"]


def test_wrap_that_gives_no_plug_is_refused():
    with pytest.raises(TypeError, match="is not a plug"):
        Pipeline([wrap(lambda inner: None)]).compile()


def test_run_takes_no_wrap():
    with pytest.raises(TypeError, match="needs a compiled pipeline"):
        run(conn(), [wrap(Around, name="a")])


# the order of plugs -----------------------------------------------------------------------------


class Session:
    def __call__(self, conn: Conn) -> Conn:
        return conn


class Guard(Session):
    runs_after = ("Session",)


class Early(Session):
    runs_before = ("Session",)


def test_a_wrong_order_of_plugs_is_reported_at_start():
    Pipeline([Session, Guard]).compile()
    Pipeline([Guard]).compile()  # the Session may be in an outer pipeline
    Pipeline([Early, Session]).compile()
    with pytest.raises(ValueError, match="Guard needs Session before it, and Session comes later"):
        Pipeline([Guard, mark, Session]).compile()
    with pytest.raises(ValueError, match="Early must come before Session"):
        Pipeline([Session, Early]).compile()


# blocking ---------------------------------------------------------------------------------------


@blocking
def in_thread(conn: Conn) -> Conn:
    return mark(conn, threading.current_thread().name)


async def test_blocking_runs_in_a_thread():
    result = conn()
    assert await compile_pipeline([mark, in_thread, mark])(result) is result
    name = marks(result)[1]
    assert name != threading.current_thread().name


async def test_sending_from_a_thread_happens_in_the_event_loop():
    result = conn()
    adapter = result.adapter
    senders: list[int] = []
    send_resp = adapter.send_resp

    def recording(*args: object) -> None:
        senders.append(threading.get_ident())
        send_resp(*args)

    adapter.send_resp = recording

    @blocking
    def answering(conn: Conn) -> Conn:
        assert threading.get_ident() != here
        assert conn.remote_ip == "127.0.0.1"
        return conn.send_resp(200, "from a thread")

    here = threading.get_ident()
    assert await compile_pipeline([answering])(result) is result
    assert senders == [here]
    assert adapter.sent_body == b"from a thread"
    assert result.adapter is adapter


async def test_a_cancelled_request_gets_its_adapter_back():
    started, goes_on = threading.Event(), threading.Event()
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    @blocking
    def slow(conn: Conn) -> Conn:
        loop.call_soon_threadsafe(begun.set_result, None)
        goes_on.wait(10)
        loop.call_soon_threadsafe(done.set)
        return conn

    begun = loop.create_future()
    result = conn()
    adapter = result.adapter
    task = asyncio.ensure_future(compile_pipeline([slow])(result))
    await begun
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    result.send_resp(503, "cancelled")  # the event loop may still send
    assert adapter.sent_status == 503
    goes_on.set()
    await done.wait()
    assert not started.is_set()


async def test_errors_in_a_thread_go_through():
    @blocking
    def failing(conn: Conn) -> Conn:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await compile_pipeline([failing])(conn())


def test_blocking_goes_below_the_route():
    with pytest.raises(TypeError, match="put @blocking below @get"):

        @blocking
        @get("/")
        def handler(conn: Conn) -> Conn:
            return conn


def test_blocking_takes_plain_functions_only():
    with pytest.raises(TypeError, match="mark_later is async, so it must not block"):
        blocking(mark_later)
    with pytest.raises(TypeError, match="decorate the __call__ of Adder"):
        blocking(Adder)
