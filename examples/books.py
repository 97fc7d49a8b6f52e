"""A JSON API over SQLite: books, in one file of the working directory.

    plugpy serve books:Books --app-dir examples

    curl -i http://127.0.0.1:4000/books --json '{"title": "Kindred", "author": "Octavia Butler"}'
    curl "http://127.0.0.1:4000/books?author=Octavia+Butler&limit=10"
    curl -i http://127.0.0.1:4000/books/1
    curl -i -X PUT http://127.0.0.1:4000/books/1 -H 'if-match: "1"' \
        --json '{"title": "Kindred", "author": "Octavia E. Butler", "year": 1979}'
    curl -i -X DELETE http://127.0.0.1:4000/books/1

`BOOKS_DATABASE` names another file. A call of sqlite3 waits for the disk, so handlers that make one
are `blocking`: plain functions, each run in a thread, while the event loop serves the others.
"""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from plugpy import Application, Conn, Router, blocking, delete, error, get, plug, post, put
from plugpy.conn.conditional import evaluate
from plugpy.conn.status import reason_phrase
from plugpy.plugs import ConditionalGet, Parsers, RequestId, SecureHeaders

DATABASE = os.environ.get("BOOKS_DATABASE", "books.sqlite3")

PATIENCE = 5.0
"""Seconds that a request waits for another one that writes."""

MOST = 100
"""Books of one page."""

# autoincrement: the number of a deleted book is not given to another, so its old etags match none.
SCHEMA = """
create table if not exists books (
    number integer primary key autoincrement,
    title text not null,
    author text not null,
    year integer,
    isbn text unique,
    version integer not null default 1
)
"""


class ProblemError(Exception):
    """What is wrong with a request: the client is told as problem+json (RFC 9457)."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.more = more


class BooksRouter(Router):
    """The API. What users send goes into SQL as parameters, never as text."""

    plug(RequestId)
    plug(SecureHeaders)
    plug(ConditionalGet)
    plug(Parsers, parsers=["json"], length=10_000)

    @get("/books")
    @blocking
    def index(self, conn: Conn) -> dict[str, Any]:
        """A page of books: ?author=, ?limit=, ?after= the last number of the page before."""
        after = number_of(conn, "after", default=0, most=10**18 - 1)
        limit = number_of(conn, "limit", default=20, most=MOST)
        author = conn.query_params.get("author")
        if author is not None and not isinstance(author, str):
            raise ProblemError(400, "author is a text")
        with database() as db:
            found = db.execute(
                "select * from books where number > ? and (? is null or author = ?)"
                " order by number limit ?",
                (
                    after,
                    author,
                    author,
                    limit + 1,
                ),  # one more, to know whether there is a next page
            ).fetchall()
        page = [shown(row) for row in found[:limit]]
        if len(found) <= limit:
            return {"books": page, "next": None}
        query = {"after": page[-1]["number"], "limit": limit}
        if author is not None:
            query["author"] = author
        following = self.path_for("index", _query=query)
        conn.put_resp_header("link", f'<{following}>; rel="next"')
        return {"books": page, "next": following}

    @post("/books")
    @blocking
    def create(self, conn: Conn) -> tuple[int, dict[str, Any]]:
        """A new book: 201, and where it is."""
        book = checked(conn.body_params)
        with database(writes=True) as db:
            row = changed(
                db,
                "insert into books (title, author, year, isbn)"
                " values (:title, :author, :year, :isbn) returning *",
                book,
            )
        conn.put_resp_header("location", self.path_for("show", number=row["number"]))
        conn.put_resp_header("etag", etag_of(row))
        return 201, shown(row)

    @get("/books/:number")
    @blocking
    def show(self, conn: Conn, number: int) -> dict[str, Any]:
        """One book; 304 for who has it already."""
        with database() as db:
            row = find(db, number)
        conn.put_resp_header("etag", etag_of(row))
        return shown(row)

    @put("/books/:number")
    @blocking
    def update(self, conn: Conn, number: int) -> dict[str, Any]:
        """Replace a book; with if-match only the version that the client has seen."""
        book = checked(conn.body_params)
        with database(writes=True) as db:
            unchanged(conn, find(db, number))
            row = changed(
                db,
                "update books set title = :title, author = :author, year = :year, isbn = :isbn,"
                " version = version + 1 where number = :number returning *",
                {**book, "number": number},
            )
        conn.put_resp_header("etag", etag_of(row))
        return shown(row)

    @delete("/books/:number")
    @blocking
    def remove(self, conn: Conn, number: int) -> Conn:
        """Delete a book; with if-match only the version that the client has seen."""
        with database(writes=True) as db:
            unchanged(conn, find(db, number))
            db.execute("delete from books where number = ?", (number,))
        return conn.send_resp(204, "")

    @error(Exception)
    def tell(self, conn: Conn, error: Exception) -> Conn:
        """Every error as JSON; what is our fault is logged, and not told."""
        status = conn.status or 500
        told = {"title": reason_phrase(status), "status": status}
        if status < 500:
            told["detail"] = str(error)
        conn.put_resp_content_type("application/problem+json", None)
        return conn.json({**told, **getattr(error, "more", {})})


@contextmanager
def database(*, writes: bool = False) -> Iterator[sqlite3.Connection]:
    """One transaction, kept unless something is raised.

    A connection of its own for each: to open one is cheap, and nothing is shared between threads.
    """
    with closing(sqlite3.connect(DATABASE, timeout=PATIENCE, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        # Who reads, then writes, must not find the file changed in between.
        db.execute("begin immediate" if writes else "begin")
        yield db
        db.execute("commit")


def find(db: sqlite3.Connection, number: int) -> sqlite3.Row:
    """The book of that number."""
    row: sqlite3.Row | None = db.execute(
        "select * from books where number = ?", (number,)
    ).fetchone()
    if row is None:
        raise ProblemError(404, f"there is no book {number}")
    return row


def changed(db: sqlite3.Connection, sql: str, values: dict[str, Any]) -> sqlite3.Row:
    """The book as it is after a change."""
    try:
        row: sqlite3.Row = db.execute(sql, values).fetchone()
    except sqlite3.IntegrityError:
        raise ProblemError(409, f"there is a book with the ISBN {values['isbn']} already") from None
    return row


def unchanged(conn: Conn, row: sqlite3.Row) -> None:
    """Refuse a change of what the client has not seen (RFC 9110 section 13.1.1)."""
    if evaluate(conn.method, conn, etag_of(row), None) == 412:
        raise ProblemError(412, "the book has changed since you have read it")


def etag_of(row: sqlite3.Row) -> str:
    """The entity tag of a book: its version."""
    return f'"{row["version"]}"'


def shown(row: sqlite3.Row) -> dict[str, Any]:
    """A book as clients see it."""
    return {name: row[name] for name in ("number", "title", "author", "year", "isbn")}


def checked(given: dict[str, Any]) -> dict[str, Any]:
    """A book as a client has sent it; 422 says of each field what is wrong."""
    if "_json" in given:  # where Parsers puts what is no object
        raise ProblemError(422, "a book is a JSON object")
    rules = {
        "title": (is_text, "is a text of 1 to 200 characters"),
        "author": (is_text, "is a text of 1 to 200 characters"),
        "year": (is_year, "is a number from 0 to 9999, or missing"),
        "isbn": (is_isbn, "is 13 digits that begin with 978 or 979, or missing"),
    }
    wrong = {name: told for name, (good, told) in rules.items() if not good(given.get(name))}
    wrong |= {name: "is no field of a book" for name in given if name not in rules}
    if wrong:
        raise ProblemError(422, "the book can't be kept", errors=wrong)
    return {name: given.get(name) for name in rules}


def is_text(value: object) -> bool:
    """Whether it can be a title or a name."""
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 200


def is_year(value: object) -> bool:
    """Whether it can be a year: True is an int to Python, and none here."""
    return value is None or (type(value) is int and 0 <= value <= 9999)


def is_isbn(value: object) -> bool:
    """Whether it looks like an ISBN."""
    return value is None or (
        isinstance(value, str) and bool(re.fullmatch("97[89][0-9]{10}", value))
    )


def number_of(conn: Conn, name: str, *, default: int, most: int) -> int:
    """A number of the query, from 0 or 1 to `most`."""
    text = conn.query_params.get(name, str(default))
    least = min(default, 1)
    if isinstance(text, str) and re.fullmatch("[0-9]{1,18}", text) and least <= int(text) <= most:
        return int(text)
    raise ProblemError(400, f"{name} is a number from {least} to {most}")


class Books(Application):
    """The router, and the table that it needs."""

    router = BooksRouter

    def start(self) -> None:
        """Before the first connection. WAL: who reads does not wait for who writes."""
        with closing(sqlite3.connect(DATABASE)) as db:
            db.execute("pragma journal_mode = wal")
            db.execute(SCHEMA)
