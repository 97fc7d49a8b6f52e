"""The cases of Plug's test/plug/conn/status_test.exs."""

import pytest

from plugpy.conn import status


@pytest.fixture(autouse=True)
def custom_statuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two statuses that Plug's tests configure, for the time of a test."""
    monkeypatch.setattr(status, "REASON_PHRASES", dict(status.REASON_PHRASES))
    monkeypatch.setattr(status, "_codes", dict(status._codes))
    status.register(418, "Totally not a teapot")
    status.register(998, "Not An RFC Status Code")


@pytest.mark.parametrize("code", [200, 203, 404])
def test_code_when_given_a_numeric_status_code_returns_the_same_numeric_status_code(
    code: int,
) -> None:
    assert status.code(code) == code


BUILT_IN = [
    (200, "ok", "OK"),
    (203, "non_authoritative_information", "Non-Authoritative Information"),
    (404, "not_found", "Not Found"),
    (422, "unprocessable_content", "Unprocessable Content"),
]


@pytest.mark.parametrize(("code", "name", "phrase"), BUILT_IN)
def test_code_for_built_in_statuses_the_numeric_code(code: int, name: str, phrase: str) -> None:
    assert status.code(name) == code


def test_code_for_custom_status_return_the_numeric_code() -> None:
    assert status.code("not_an_rfc_status_code") == 998


def test_code_for_aliased_statuses() -> None:
    assert status.code("unprocessable_entity") == 422


def test_code_with_both_a_built_in_and_custom_code_return_the_numeric_code() -> None:
    assert status.code("im_a_teapot") == 418
    assert status.code("totally_not_a_teapot") == 418


@pytest.mark.parametrize(("code", "name", "phrase"), BUILT_IN)
def test_reason_atom_returns_the_atom_for_built_in_statuses(
    code: int, name: str, phrase: str
) -> None:
    assert status.reason_atom(code) == name


def test_reason_atom_returns_the_atom_for_custom_statuses() -> None:
    assert status.reason_atom(998) == "not_an_rfc_status_code"


def test_reason_atom_with_both_a_built_in_and_custom_status_always_returns_the_custom_atom():
    assert status.reason_atom(418) == "totally_not_a_teapot"


def test_reason_atom_with_an_unknown_code_raises_an_error() -> None:
    with pytest.raises(ValueError, match="unknown status code 999"):
        status.reason_atom(999)


@pytest.mark.parametrize(("code", "name", "phrase"), BUILT_IN)
def test_reason_phrase_returns_the_phrase_for_built_in_statuses(
    code: int, name: str, phrase: str
) -> None:
    assert status.reason_phrase(code) == phrase


def test_reason_phrase_for_custom_status_return_the_phrase() -> None:
    assert status.reason_phrase(998) == "Not An RFC Status Code"


def test_reason_phrase_with_both_a_built_in_and_custom_status_always_returns_the_custom_phrase():
    assert status.reason_phrase(418) == "Totally not a teapot"


def test_reason_phrase_with_an_unknown_code_raises_an_error() -> None:
    with pytest.raises(ValueError, match=r"unknown status code 999: .*register\(999"):
        status.reason_phrase(999)
