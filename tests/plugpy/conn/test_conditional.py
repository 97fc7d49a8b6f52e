"""plugpy.conn.conditional: RFC 9110 section 13."""

from __future__ import annotations

import pytest

from plugpy.conn.conditional import entity_tags, evaluate, http_date, matches, parse_http_date
from plugpy.testing import conn

DATE = 784111777
TEXT = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['"a"'], [(False, "a")]),
        (['W/"a"'], [(True, "a")]),
        (['"a", W/"b" ,"c,d"'], [(False, "a"), (True, "b"), (False, "c,d")]),
        (['"a"', '"b"'], [(False, "a"), (False, "b")]),
        (['""'], [(False, "")]),
        (["*"], "*"),
        ([" * "], "*"),
        (['"a", *'], [(False, "a")]),
        (["a"], []),
        (['w/"a"'], []),
        (['"a'], []),
        (['"a""b"'], [(False, "a")]),
        ([""], []),
    ],
)
def test_entity_tags(values, expected):
    assert entity_tags(values) == expected


@pytest.mark.parametrize(
    ("sent", "etag", "strong", "weak"),
    # RFC 9110 section 8.8.3.2 has this table
    [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
        ('"1"', 'W/"1"', False, True),
        ("*", '"1"', True, True),
        ('"1"', None, False, False),
    ],
)
def test_comparison(sent, etag, strong, weak):
    assert matches([sent], etag, weak=False) is strong
    assert matches([sent], etag, weak=True) is weak


@pytest.mark.parametrize(
    "text", [TEXT, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_all_three_forms_of_a_date(text):
    assert parse_http_date([text]) == DATE


@pytest.mark.parametrize(
    "values", [[], ["never"], [""], [TEXT, TEXT], ["Sun, 99 Nov 1994 08:49:37 GMT"], ["1" * 100]]
)
def test_what_is_no_date(values):
    assert parse_http_date(values) is None


def test_a_date_is_written():
    assert http_date(DATE + 0.9) == TEXT


EARLIER, LATER = http_date(DATE - 1), http_date(DATE + 1)


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", {}, None),
        ("GET", {"if-none-match": '"1"'}, 304),
        ("HEAD", {"if-none-match": 'W/"1"'}, 304),
        ("GET", {"if-none-match": "*"}, 304),
        ("GET", {"if-none-match": '"2"'}, None),
        ("PUT", {"if-none-match": '"1"'}, 412),
        ("PUT", {"if-none-match": "*"}, 412),
        ("GET", {"if-modified-since": TEXT}, 304),
        ("GET", {"if-modified-since": LATER}, 304),
        ("GET", {"if-modified-since": EARLIER}, None),
        ("POST", {"if-modified-since": TEXT}, None),
        # If-None-Match wins over If-Modified-Since, whatever that says
        ("GET", {"if-none-match": '"2"', "if-modified-since": TEXT}, None),
        ("GET", {"if-modified-since": "nonsense"}, None),
        ("PUT", {"if-match": '"1"'}, None),
        ("PUT", {"if-match": 'W/"1"'}, 412),
        ("PUT", {"if-match": '"2"'}, 412),
        ("PUT", {"if-match": "*"}, None),
        ("PUT", {"if-unmodified-since": TEXT}, None),
        ("PUT", {"if-unmodified-since": EARLIER}, 412),
        ("PUT", {"if-match": '"1"', "if-unmodified-since": EARLIER}, None),
        ("GET", {"if-match": '"2"', "if-none-match": '"1"'}, 412),
    ],
)
def test_preconditions(method, headers, expected):
    assert evaluate(method, conn(method, "/", headers=headers), '"1"', DATE) == expected
