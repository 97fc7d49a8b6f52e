"""Cases of Plug's test/plug/router/utils_test.exs, asked of plugpy.router.pattern."""

import pytest

from plugpy.router import InvalidSpecError
from plugpy.router.pattern import Segment, parse, split


def shape(path: str) -> list[object]:
    """Text as str, a variable as (prefix, name, suffix), a glob as ("*", name)."""
    pattern = parse(path)
    parts: list[object] = [
        segment.prefix if segment.name is None else tuple(segment) for segment in pattern.segments
    ]
    return [*parts, ("*", pattern.glob)] if pattern.glob else parts


def var(name: str, prefix: str = "", suffix: str = "") -> tuple[str, str, str]:
    return (prefix, name, suffix)


def test_split_on_root():
    assert split("/") == []
    assert split("") == []


def test_split_single_segment():
    assert split("/foo") == ["foo"]
    assert split("foo") == ["foo"]


def test_split_with_more_than_one_segment():
    assert split("/foo/bar") == ["foo", "bar"]
    assert split("foo/bar") == ["foo", "bar"]


def test_split_removes_trailing_slash():
    assert split("/foo/bar/") == ["foo", "bar"]
    assert split("foo/bar/") == ["foo", "bar"]


def test_build_match_with_literal():
    assert shape("/foo") == ["foo"]
    assert shape("foo") == ["foo"]


def test_build_match_with_identifier():
    assert shape("/foo/:id") == ["foo", var("id")]
    assert shape("foo/:username") == ["foo", var("username")]


def test_build_match_with_multiple_identifiers():
    assert shape("/foo/:id/:name/:category") == ["foo", var("id"), var("name"), var("category")]
    assert shape("foo/:username/:post1/:post2") == [
        "foo",
        var("username"),
        var("post1"),
        var("post2"),
    ]
    assert parse("foo/:username/:post_id/:comment_id").names == (
        "username",
        "post_id",
        "comment_id",
    )


def test_build_match_with_literal_plus_identifier():
    assert shape("/foo/bar-:id") == ["foo", var("id", "bar-")]
    assert shape("foo/bar:username") == ["foo", var("username", "bar")]


def test_build_match_with_escaped_identifiers():
    assert shape("foo/\\:") == ["foo", ":"]
    assert shape("/foo/\\:id") == ["foo", ":id"]
    assert shape("foo/\\:username") == ["foo", ":username"]
    assert shape("/foo/:id/\\:name/:post_id") == ["foo", var("id"), ":name", var("post_id")]
    assert shape("/foo/bar-\\:id") == ["foo", "bar-:id"]
    assert shape("foo/bar\\:batchDelete") == ["foo", "bar:batchDelete"]


def test_build_match_only_with_glob():
    assert shape("*bar") == [("*", "bar")]
    assert shape("/*glob") == [("*", "glob")]


def test_build_match_with_glob():
    assert shape("/foo/*bar") == ["foo", ("*", "bar")]
    assert shape("foo/*glob") == ["foo", ("*", "glob")]


def test_build_match_with_escaped_glob():
    assert shape("\\*bar") == ["*bar"]
    assert shape("/\\*glob") == ["*glob"]
    assert shape("/foo/\\*bar") == ["foo", "*bar"]
    assert shape("foo/\\*glob") == ["foo", "*glob"]


@pytest.mark.parametrize("path", ["/foo/:", "/foo/*", "/foo/:9", "/foo/:Id", "/foo/a:"])
def test_build_invalid_match_with_empty_matches(path):
    with pytest.raises(InvalidSpecError, match="must be followed by a name"):
        parse(path)


def test_build_invalid_match_with_non_word_character():
    """Differs: Plug's function for patterns without suffix refuses `:bar.baz`, which its router
    takes. Here only a name that goes on in another script is refused."""
    assert shape("/foo/:bar.baz") == ["foo", var("bar", suffix=".baz")]
    with pytest.raises(InvalidSpecError, match="ASCII letters"):
        parse("/foo/:barü")


def test_build_invalid_match_with_segments_after_glob():
    with pytest.raises(InvalidSpecError, match=r"must be last.*'\*bar'"):
        parse("/foo/*bar/baz")


def test_build_invalid_match_with_multiple_identifiers():
    with pytest.raises(InvalidSpecError, match=r"only one variable.*':bar\.:baz'"):
        parse("/foo/:bar.:baz")


def test_build_invalid_match_with_suffix_glob():
    with pytest.raises(InvalidSpecError, match=r"without prefix or suffix.*'\*bar-baz'"):
        parse("/foo/*bar-baz")


def test_build_invalid_match_with_prefix_glob():
    """Stricter: deprecated in Plug."""
    with pytest.raises(InvalidSpecError, match="without prefix or suffix"):
        parse("/foo/bar-*rest")


def test_a_variable_may_not_occur_twice():
    """Stricter: in Plug the values would have to be equal."""
    with pytest.raises(InvalidSpecError, match="'id' occurs twice"):
        parse("/:id/x/:id")


def test_suffix_is_taken_off_once_and_leaves_something():
    """Stricter: Plug trims `.json` repeatedly, and takes an empty value."""
    segment = Segment("", "bar", ".json")
    assert segment.value("a.json.json") == "a.json"
    assert segment.value(".json") is None
    assert segment.value("a") is None
