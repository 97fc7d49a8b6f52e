"""examples/books.py, over HTTP, with its database in a file."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

KINDRED = {"title": "Kindred", "author": "Octavia Butler", "year": 1979, "isbn": "9780807083697"}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "library.sqlite3"


@pytest.fixture
def books(example, client, file):
    return client(example("books:Books", BOOKS_DATABASE=file))


def test_a_book_from_its_beginning_to_its_end(books):
    made = books.post("/books", json=KINDRED)
    assert made.status_code == 201
    assert made.headers["location"] == "/books/1"
    assert made.json() == {"number": 1, **KINDRED}

    read = books.get(made.headers["location"])
    assert (read.status_code, read.json()) == (200, made.json())
    assert read.headers["etag"] == made.headers["etag"] == '"1"'

    later = books.put("/books/1", json={**KINDRED, "year": None})
    assert later.json() == {"number": 1, **KINDRED, "year": None}
    assert later.headers["etag"] == '"2"'

    gone = books.delete("/books/1")
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (books.get("/books/1"), books.delete("/books/1")):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"] == "there is no book 1"
    assert books.post("/books", json=KINDRED).headers["location"] == "/books/2"


def test_pages_follow_each_other(books):
    for count in range(5):
        author = "A & B" if count else "C"
        books.post("/books", json={"title": f"Volume {count}", "author": author})
    seen, following = [], "/books?limit=2&author=A+%26+B"
    while following:
        page = books.get(following)
        seen.append([book["title"] for book in page.json()["books"]])
        following = page.json()["next"]
        assert page.headers.get("link") == (following and f'<{following}>; rel="next"')
    assert seen == [["Volume 1", "Volume 2"], ["Volume 3", "Volume 4"]]
    assert len(books.get("/books").json()["books"]) == 5
    assert books.get("/books?after=99").json() == {"books": [], "next": None}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=x",
        "limit=%D9%A1",
        "limit[]=1",
        "after=1e3",
        "after=99999999999999999999",
        "author[]=x",
    ],
)
def test_a_query_that_makes_no_sense(books, query):
    answer = books.get(f"/books?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(query[:5])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "   "}, "title"),
        ({"title": 7}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"author": None}, "author"),
        ({"author": ["x"]}, "author"),
        ({"year": "1979"}, "year"),
        ({"year": True}, "year"),
        ({"year": 10**30}, "year"),
        ({"isbn": "978080708369X"}, "isbn"),
        ({"isbn": 9780807083697}, "isbn"),
        ({"version": 9}, "version"),
    ],
)
def test_what_is_wrong_with_a_field_is_said(books, change, field):
    for answer in (
        books.post("/books", json={**KINDRED, **change}),
        books.put("/books/1", json={**KINDRED, **change}),
    ):
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert list(answer.json()["errors"]) == [field]
    assert books.get("/books").json()["books"] == []


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"[1]", "application/json", 422),
        (b"", "application/json", 422),
        (b'{"title": ', "application/json", 400),
        (b'{"title": "\\ud800", "author": "x"}', "application/json", 400),
        (b"title=x", "application/x-www-form-urlencoded", 415),
        (b'"' + b"x" * 10_000 + b'"', "application/json", 413),
    ],
)
def test_bodies_that_are_no_book(books, body, kind, status):
    answer = books.post("/books", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["status"] == status


def test_one_isbn_one_book(books):
    books.post("/books", json=KINDRED)
    assert books.post("/books", json={**KINDRED, "title": "Another"}).status_code == 409
    other = books.post("/books", json={**KINDRED, "isbn": None}).headers["location"]
    answer = books.put(other, json=KINDRED)
    assert answer.status_code == 409
    assert "9780807083697" in answer.json()["detail"]
    assert books.get(other).json()["isbn"] is None


def test_who_has_the_book_already_gets_no_body(books):
    books.post("/books", json=KINDRED)
    answer = books.get("/books/1", headers={"if-none-match": '"1"'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert books.get("/books/1", headers={"if-none-match": '"0"'}).status_code == 200


def test_a_change_of_what_was_not_seen_is_refused(books):
    books.post("/books", json=KINDRED)
    seen = {"if-match": '"1"'}
    assert books.put("/books/1", json={**KINDRED, "year": 1980}, headers=seen).status_code == 200
    assert books.put("/books/1", json=KINDRED, headers=seen).status_code == 412
    assert books.delete("/books/1", headers=seen).status_code == 412
    assert books.get("/books/1").json()["year"] == 1980
    assert books.delete("/books/1", headers={"if-match": '"2"'}).status_code == 204


def test_of_many_who_change_the_same_version_one_wins(books):
    books.post("/books", json=KINDRED)
    together, statuses = threading.Barrier(8), []

    def change(year):
        together.wait()
        answer = books.put("/books/1", json={**KINDRED, "year": year}, headers={"if-match": '"1"'})
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=change, args=(year,)) for year in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[412] * 7]


@pytest.mark.parametrize("text", ["'; drop table books; --", '" or 1=1 --', "%", "\\'", "a\x00b"])
def test_sql_in_a_text_is_a_text(books, file, text):
    books.post("/books", json={**KINDRED, "isbn": None})
    assert books.post("/books", json={"title": text, "author": text}).status_code == 201
    found = books.get("/books", params={"author": text}).json()["books"]
    assert [book["title"] for book in found] == [text]
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("select count(*) from books").fetchone() == (2,)


def test_paths_and_methods_that_are_none(books):
    for path in ("/books/x", "/books/1/2", "/books/9999999999999999999", "/"):
        answer = books.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert books.get("/books/-1").status_code == 404
    answer = books.patch("/books/1")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, PUT, DELETE, OPTIONS"


def test_a_fault_of_ours_tells_nothing(books, file, caplog):
    with closing(sqlite3.connect(file)) as db:
        db.execute("drop table books")
    answer = books.get("/books")
    assert answer.status_code == 500
    assert answer.json() == {"title": "Internal Server Error", "status": 500}
    assert "no such table" in caplog.text


def test_books_outlive_the_server(example, live_server, client, file):
    for year in (None, 1979):
        application = example("books:Books", BOOKS_DATABASE=file)
        server = live_server(application)
        http = client(server)
        if year is None:
            http.post("/books", json=KINDRED)
        else:
            assert http.get("/books/1").json()["year"] == year
        server.stop()
