"""Places to listen, as they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.server.errors import StartError
from plugpy.server.listeners import divide
from plugpy.server.places import Place, parse_place, place_of_table

values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
options = st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,10}", fullmatch=True), values, max_size=3)
ports = st.integers(0, 65_535)
hosts = st.sampled_from(["127.0.0.1", "::1", "::", "localhost", "a.example"])
places = st.one_of(
    st.builds(Place, st.sampled_from(["http", "https"]), host=hosts, port=ports, options=options),
    st.builds(
        Place, st.just("unix"), path=values.filter(lambda path: path.strip("/ ")), options=options
    ),
    st.builds(Place, st.just("fd"), fd=st.integers(0, 99) | st.just("systemd"), options=options),
)


@given(places)
def test_what_is_written_is_read(place: Place) -> None:
    assert parse_place(str(place)) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("http://127.0.0.1", Place("http", "127.0.0.1", 4000)),
        ("https://[::1]:0/", Place("https", "::1", 0)),
        ("https://a.example", Place("https", "a.example", 4443)),
        ("unix:/run/a.sock", Place("unix", path="/run/a.sock")),
        ("unix:a b.sock", Place("unix", path="a b.sock")),
        ("fd:systemd", Place("fd", fd="systemd")),
        (
            "http://a.example?max-body=1MB&app=a:B",
            Place("http", "a.example", 4000, options={"max_body": "1MB", "app": "a:B"}),
        ),
        ("fd:3?certfile=c++.pem", Place("fd", fd=3, options={"certfile": "c++.pem"})),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert parse_place(text) == place


def test_tables() -> None:
    table = {
        "url": "https://a.example:1?name=x",
        "certfile": ["a.pem", "b.pem"],
        "max-connections": 5,
        "debug": True,
    }
    assert parse_place(place_of_table(table)) == Place(
        "https",
        "a.example",
        1,
        options={"name": "x", "certfile": "a.pem,b.pem", "max_connections": "5", "debug": "true"},
    )


def test_sockets_of_several_workers_are_divided_by_listener() -> None:
    numbers: list[int] = list(range(6))
    assert divide(numbers, [2, 1]) == [[0, 1, 3, 4], [2, 5]]  # type: ignore[arg-type,comparison-overlap]
    assert divide(numbers, []) == [numbers]  # type: ignore[arg-type,comparison-overlap]
    with pytest.raises(StartError):
        divide(numbers, [4])  # type: ignore[arg-type]
