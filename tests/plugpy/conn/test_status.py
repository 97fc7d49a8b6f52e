"""Statuses: codes, names, phrases, and those that a program adds."""

from http import HTTPStatus

import pytest

from plugpy.conn import status


@pytest.fixture
def own_statuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of this test do not outlive it."""
    monkeypatch.setattr(status, "REASON_PHRASES", dict(status.REASON_PHRASES))
    monkeypatch.setattr(status, "_codes", dict(status._codes))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (200, 200),
        (599, 599),
        (100, 100),
        (999, 999),
        ("ok", 200),
        ("not_found", 404),
        ("im_a_teapot", 418),
        ("http_version_not_supported", 505),
        ("multi_status", 207),
        ("content_too_large", 413),
        ("request_entity_too_large", 413),
        ("request_uri_too_long", 414),
        ("requested_range_not_satisfiable", 416),
        ("unprocessable_content", 422),
        ("unprocessable_entity", 422),
        (HTTPStatus.NOT_FOUND, 404),
    ],
)
def test_code(given: int | str | HTTPStatus, expected: int) -> None:
    found = status.code(given)
    assert found == expected
    assert type(found) is int


def test_every_status_has_one_name_that_leads_back_to_it() -> None:
    for code in status.REASON_PHRASES:
        assert status.code(status.reason_atom(code)) == code


@pytest.mark.parametrize("known", list(HTTPStatus))
def test_every_status_of_python_is_known_by_its_name(known: HTTPStatus) -> None:
    assert status.code(known.name.lower()) == known.value
    assert status.reason_phrase(known.value)


@pytest.mark.parametrize("number", [99, 1000, 0, -200])
def test_a_number_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"from 100 to 999, got {number}"):
        status.code(number)


@pytest.mark.parametrize("wrong", [None, True, 200.0, b"ok"])
def test_another_type_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="a status is an int"):
        status.code(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("not_fund", "did you mean 'not_found'"),
        ("Not Found", "did you mean 'not_found'"),
        ("404", "the number 404"),
        ("zzzz", "names look like"),
    ],
)
def test_an_unknown_name_is_refused_with_advice(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        status.code(name)


@pytest.mark.parametrize(
    ("code", "phrase", "atom"),
    [(200, "OK", "ok"), (418, "I'm a teapot", "im_a_teapot"), (413, "Content Too Large", None)],
)
def test_phrase_and_name_of_a_code(code: int, phrase: str, atom: str | None) -> None:
    assert status.reason_phrase(code) == phrase
    assert status.reason_atom(code) == (atom or "content_too_large")


@pytest.mark.parametrize("function", [status.reason_phrase, status.reason_atom])
def test_a_code_without_a_phrase_teaches_how_to_name_it(function: object) -> None:
    with pytest.raises(ValueError, match=r"unknown status code 998.*register\(998"):
        function(998)  # type: ignore[operator]


@pytest.mark.usefixtures("own_statuses")
def test_a_registered_status_has_code_name_and_phrase() -> None:
    status.register(998, "Not In Any RFC")
    assert status.code("not_in_any_rfc") == 998
    assert status.reason_phrase(998) == "Not In Any RFC"
    assert status.reason_atom(998) == "not_in_any_rfc"
    status.register(998, "Not In Any RFC")


@pytest.mark.usefixtures("own_statuses")
def test_a_name_of_another_status_can_not_be_taken() -> None:
    with pytest.raises(ValueError, match="'not_found' already means 404"):
        status.register(998, "Not Found")
    with pytest.raises(ValueError, match="unknown status code 998"):
        status.reason_phrase(998)


@pytest.mark.usefixtures("own_statuses")
@pytest.mark.parametrize("phrase", ["", " ", "Bad\r\nX: 1", "Tab\there", "Größe"])
def test_a_phrase_that_would_break_the_status_line_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        status.register(998, phrase)


@pytest.mark.usefixtures("own_statuses")
def test_a_code_out_of_range_can_not_be_registered() -> None:
    with pytest.raises(ValueError, match="from 100 to 999"):
        status.register(1000, "Too Big")
