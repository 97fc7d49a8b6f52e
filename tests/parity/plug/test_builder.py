"""Cases of Plug's test/plug/builder_test.exs, asked of plugpy.pipeline."""

import pytest

from plugpy.conn import Conn, PlugError
from plugpy.pipeline import Pipeline, compile_pipeline, plug
from plugpy.testing import conn


class Recorder:
    def __init__(self, step: str) -> None:
        self.step = ("init", step)

    def __call__(self, conn: Conn) -> Conn:
        conn.assigns["stack"].insert(0, ("call", self.step))
        return conn


class Sample(Pipeline):
    plug("fun", step="step1")
    plug(Recorder, step="step2")
    plug(Recorder, step="step3")

    def fun(self, conn: Conn, step: str) -> Conn:
        conn.assigns.setdefault("stack", []).insert(0, ("fun", step))
        return conn


class Overridable(Pipeline):
    class NotFoundError(Exception):
        pass

    plug("boom")

    def __call__(self, conn):
        try:
            return super().__call__(conn)
        except self.NotFoundError:
            return conn.assign("not_found", "caught")

    def boom(self, conn: Conn) -> Conn:
        conn.assign("entered_stack", True)
        raise self.NotFoundError


class Halter(Pipeline):
    plug("step", step="first")
    plug("step", step="second")
    plug("authorize")
    plug("step", step="end_of_chain_reached")

    def step(self, conn: Conn, step: str) -> Conn:
        return conn.assign(step, True)

    def authorize(self, conn: Conn) -> Conn:
        return conn.assign("authorize_reached", True).halt()


def test_exports_the_init_function():
    """`init/1` is `__init__`: a pipeline class is a plug class, instantiated with its options."""
    outer = compile_pipeline([(Sample, {"log_on_halt": "debug"})])
    assert outer(conn()).assigns["stack"][-1] == ("fun", "step1")


def test_builds_plug_stack_in_the_order():
    expected = [
        ("call", ("init", "step3")),
        ("call", ("init", "step2")),
        ("fun", "step1"),
    ]
    sample = Sample()
    assert sample(conn()).assigns["stack"] == expected
    initial = conn().assign("stack", ["initial"])
    assert sample(initial).assigns["stack"] == [*expected, "initial"]


def test_allows_call_to_be_overridden_with_super():
    result = Overridable()(conn())
    assert result.assigns == {"not_found": "caught", "entered_stack": True}


def test_a_compiled_call_keeps_the_override():
    assert Overridable().compile()(conn()).assigns["not_found"] == "caught"


def test_halt_halts_the_plug_stack():
    result = Halter()(conn())
    assert result.halted
    assert result.assigns == {"first": True, "second": True, "authorize_reached": True}


def test_an_exception_is_raised_if_a_plug_doesnt_return_a_connection():
    class FaultyPlug:
        def __call__(self, conn):
            return "foo"

    class FaultyModule(Pipeline):
        plug(FaultyPlug)

    class FaultyFunction(Pipeline):
        plug("faulty_function")

        def faulty_function(self, conn):
            return "foo"

    with pytest.raises(PlugError, match=r"FaultyPlug.__call__ to return a Conn, got 'foo'"):
        FaultyModule()(conn())
    with pytest.raises(PlugError, match=r"faulty_function to return a Conn, got 'foo'"):
        FaultyFunction()(conn())


def test_an_exception_is_raised_at_compile_time_if_a_plug_with_no_call_function_is_plugged():
    class Bad:
        pass

    with pytest.raises(TypeError, match="Bad is not a plug: its instances can't be called"):

        class BadPlug(Pipeline):
            plug(Bad)


def test_compile_and_runtime_init_modes():
    """Differs: classes are made once, when the pipeline is made. For the other way write a plug
    that makes them in each call."""
    mode = "compile"

    class Assigner:
        def __init__(self) -> None:
            self.mode = mode

        def __call__(self, conn: Conn) -> Conn:
            return conn.assign("mode", self.mode)

    once = Pipeline([Assigner])
    each_time = Pipeline([lambda conn: Assigner()(conn)])
    mode = "runtime"
    assert once(conn()).assigns["mode"] == "compile"
    assert each_time(conn()).assigns["mode"] == "runtime"
