"""What the report gathers of exceptions: chains, groups, frames, source."""

from __future__ import annotations

import importlib
import os

import pytest

from plugpy.debugging import report
from plugpy.debugging.failures import MOST_FAILURES
from plugpy.debugging.frames import MOST_FRAMES, is_library, relative
from plugpy.testing import conn


def raised(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def gathered(function, *arguments, **options):
    return report(conn("GET", "/a?token=hunter2"), raised(function, *arguments), **options)


def crash(secret_word="hunter2"):
    number = 41
    raise ValueError(f"got {number}")


def with_cause():
    try:
        crash()
    except ValueError as error:
        raise RuntimeError("outer") from error


def while_handling():
    try:
        crash()
    except ValueError:
        {}["missing"]


def without_context():
    try:
        crash()
    except ValueError:
        raise RuntimeError("alone") from None


def group():
    raise ExceptionGroup("many", [raised(crash), raised(with_cause), TypeError("never raised")])


def recursion(depth):
    return recursion(depth - 1) if depth else crash()


def chain():
    error = None
    for number in range(50):
        new = ValueError(str(number))
        new.__cause__ = error
        error = new
    raise error


@pytest.mark.parametrize(
    ("function", "kinds", "relations"),
    [
        (crash, ["ValueError"], [""]),
        (with_cause, ["RuntimeError", "ValueError"], ["", "RuntimeError was caused by"]),
        (
            while_handling,
            ["KeyError", "ValueError"],
            ["", "KeyError was raised while handling"],
        ),
        (without_context, ["RuntimeError"], [""]),
        (
            group,
            ["ExceptionGroup", "ValueError", "RuntimeError", "ValueError", "TypeError"],
            [
                "",
                "ExceptionGroup holds, 1 of 3,",
                "ExceptionGroup holds, 2 of 3,",
                "RuntimeError was caused by",
                "ExceptionGroup holds, 3 of 3,",
            ],
        ),
    ],
)
def test_chains(function, kinds, relations):
    made = gathered(function)
    assert [failure.kind for failure in made.failures] == kinds
    assert [failure.relation for failure in made.failures] == relations


def test_a_chain_has_an_end():
    assert len(gathered(chain).failures) == MOST_FAILURES
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert len(report(conn(), one).failures) == 2


def test_the_innermost_frame_comes_first_with_its_source():
    failure = gathered(crash).failures[0]
    frame = failure.frames[0]
    assert (frame.function, frame.library) == ("crash", False)
    current = next(line for line in frame.source if line.current)
    assert current.number == frame.number
    assert current.text == '    raise ValueError(f"got {number}")'
    assert frame.source[0].number < current.number
    assert failure.frames[-1].function == "raised"


def test_the_expression_is_marked():
    frame = gathered(while_handling).failures[0].frames[0]
    line = next(line for line in frame.source if line.current)
    # It is the whole statement, so no mark says more than the line does.
    assert line.marked is None

    def part():
        return [0, "ä"[5], 2]

    line = next(line for line in gathered(part).failures[0].frames[0].source if line.current)
    assert line.marked is not None
    assert line.text[slice(*line.marked)] == '"ä"[5]'


def test_variables_are_shown_without_secrets_or_not_at_all():
    frame = gathered(crash).failures[0].frames[0]
    assert dict(frame.variables) == {"secret_word": "[hidden]", "number": "41"}
    frame = gathered(crash, show_locals=False).failures[0].frames[0]
    assert frame.variables == ()


def test_the_source_is_that_of_now(tmp_path):
    file = tmp_path / "changing.py"
    for text in ("1 // 0  # first", "1 // 0  # second, longer"):
        file.write_text(text)
        frame = gathered(exec, compile(text, str(file), "exec"), {}).failures[0].frames[0]
        assert [line.text for line in frame.source] == [text]


def test_names_of_python_are_left_out():
    frame = gathered(exec, "x = 1; 1 // 0", {"__secret__": 1}).failures[0].frames[0]
    assert dict(frame.variables) == {"x": "1"}


def test_a_recursion_is_cut_in_the_middle():
    failure = gathered(recursion, 500).failures[0]
    assert len(failure.frames) == MOST_FRAMES
    assert failure.left_out == 503 - MOST_FRAMES
    assert failure.frames[0].function == "crash"
    assert failure.frames[-1].function == "raised"


def test_what_is_a_library():
    assert is_library(os.__file__)
    assert is_library(pytest.__file__)
    assert is_library(importlib.import_module("plugpy.router").__file__)
    assert is_library(importlib.import_module("acceptors").__file__)
    assert is_library("<string>")
    assert not is_library(__file__)


def test_files_are_named_from_the_root(tmp_path):
    assert relative(str(tmp_path / "a" / "b.py"), str(tmp_path)) == os.path.join("a", "b.py")
    assert relative("/elsewhere/b.py", str(tmp_path)) == "/elsewhere/b.py"
    assert relative(f"{tmp_path}more/b.py", str(tmp_path)) == f"{tmp_path}more/b.py"
    assert relative("<string>", str(tmp_path)) == "<string>"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise KeyError('a')", "'a'"),
        ("raise ValueError", ""),
        ("error = ValueError('text'); error.add_note('a note'); raise error", "text\na note"),
        ("jason", "name 'jason' is not defined"),
        ("compile('a b', 'file.py', 'exec')", 'File "file.py", line 1'),
        ("raise ValueError('x' * 5000)", "... (5000 characters)"),
    ],
)
def test_messages_are_those_of_python(source, message):
    failure = gathered(exec, source, {}).failures[0]
    assert message in failure.message if message else failure.message == ""
    assert len(failure.message) < 1100


def test_a_message_that_can_not_be_made():
    class BrokenError(Exception):
        def __str__(self):
            raise ZeroDivisionError

    assert "str" in report(conn(), BrokenError()).failures[0].message


def test_the_kind_has_its_module():
    from plugpy.conn import BadRequestError

    made = report(conn(), BadRequestError("say please"))
    assert made.failures[0].kind == "plugpy.conn.errors.BadRequestError"
    assert (made.failures[0].message, made.status) == ("say please", 400)
    assert made.title == "plugpy.conn.errors.BadRequestError at GET /"
