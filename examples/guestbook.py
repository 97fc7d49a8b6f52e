"""A guestbook: forms, an account, a session, messages, pictures that people send.

    plugpy serve guestbook:Guestbook --app-dir examples

Open http://127.0.0.1:4000 in a browser. Whoever signs in first with a name has it, with the
password of that moment; then write something, with a picture or without.

Everything is kept in the folder `guestbook` of the working directory, or in `GUESTBOOK_FOLDER`. The
session is a cookie that only this server can read, by `PLUGPY_SECRET_KEY_BASE`; without it a secret
is made up at each start, so nobody stays signed in, and several workers would not agree. To sign
out is to delete the cookie. A stolen copy of it would work for the rest of its day: where that
matters, give Session a MemoryStore or a RedisStore.
"""

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from plugpy import Application, Conn, Router, blocking, error, get, plug, post
from plugpy.plugs import (
    CSRFProtection,
    Flash,
    Parsers,
    RateLimit,
    SecureHeaders,
    Session,
    Static,
    Templates,
    put_flash,
)
from plugpy.plugs.csrf_protection import delete_csrf_token
from plugpy.plugs.parsers import Multipart, UrlEncoded
from plugpy.plugs.session import CookieStore
from plugpy.upload import Upload

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("GUESTBOOK_FOLDER", "guestbook"))
PICTURES = FOLDER / "pictures"
SECRET = os.environ.get("PLUGPY_SECRET_KEY_BASE") or secrets.token_hex(32)

LONGEST_NAME, LONGEST_TEXT, LARGEST_PICTURE = 30, 1_000, 2_000_000
"""Characters, characters, bytes."""

PASSWORD = range(8, 101)
"""Characters that a password may have."""

COST = {"n": 2**14, "r": 8, "p": 5}
"""What a hash of a password costs: 16 MB and a fifth of a second, for who has stolen them too."""

DAY = 86_400

NO_SCRIPTS = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""The pages have no scripts: whatever somebody manages to write into them, none runs."""

SCHEMA = """
create table if not exists people (name text primary key collate nocase, salt blob, hash blob);
create table if not exists entries (
    number integer primary key,
    name text not null,
    text text not null,
    picture text,
    written text not null default (strftime('%Y-%m-%d %H:%M', 'now'))
);
"""


def pictures() -> Path:
    """The folder that pictures are kept in and served from."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    return PICTURES


class GuestbookRouter(Router):
    """The pages. The plugs run in this order, for every request."""

    plug(SecureHeaders, headers={"content-security-policy": NO_SCRIPTS})
    plug(Templates, folder=HERE / "templates" / "guestbook")
    plug(Static, at="/static", from_=HERE / "static", only=["guestbook.css"])
    plug(Static, at="/pictures", from_=pictures)
    plug(
        Session,
        store=CookieStore(signing_salt="guestbook", encryption_salt="box", secret_key_base=SECRET),
        key="_guestbook",
        max_age=DAY,
    )
    plug(Flash)
    plug(
        Parsers,
        parsers=[
            UrlEncoded(length=10_000),
            Multipart(max_files=1, file_length=LARGEST_PICTURE, length=LARGEST_PICTURE + 10_000),
        ],
    )
    plug(CSRFProtection)
    plug("who")

    def who(self, conn: Conn) -> Conn:
        """Tell handlers and templates who is signed in, None for nobody."""
        return conn.assign("person", conn.get_session("person"))

    @get("/")
    async def book(self, conn: Conn, text: str = "", wrong: str | None = None) -> Conn:
        """The page. text: what is in the field already; wrong: why it is not in the book."""
        return conn.render("book.html", entries=await newest(), text=text, wrong=wrong)

    @post("/")
    async def sign(self, conn: Conn) -> Conn:
        """Write into the book; then lead back to the page, so that a reload writes nothing."""
        person = conn.assigns["person"]
        if person is None:
            return put_flash(conn, "error", "Please sign in first.").redirect("/login")
        text, picture = field(conn, "text"), conn.body_params.get("picture")
        if not text or len(text) > LONGEST_TEXT:
            wrong = f"Please write something, of {LONGEST_TEXT} characters at most."
            return await self.book(conn.put_status(422), text[:LONGEST_TEXT], wrong)
        name = None
        if isinstance(picture, Upload):
            ending = await picture_kind(picture)
            if ending is None:
                wrong = "Only pictures, please: PNG, JPEG, GIF or WebP."
                return await self.book(conn.put_status(422), text, wrong)
            # What the file is called where it comes from is never a path here.
            name = secrets.token_hex(16) + ending
            await picture.move(PICTURES / name)
        await write(person, text, name)
        return put_flash(conn, "info", "Thank you!").redirect("/")

    @get("/login")
    def login(self, conn: Conn, name: str = "", wrong: str | None = None) -> Conn:
        """The form to sign in."""
        return conn.render("login.html", name=name, wrong=wrong)

    # To try passwords is slow; this also bounds how often anybody makes us compute a hash.
    @post("/login", plugs=[(RateLimit, {"limit": 10, "window": 60})])
    async def enter(self, conn: Conn) -> Conn:
        """Sign in, with a new session: who knows the old one has nothing of it."""
        name, password = field(conn, "name"), str(conn.body_params.get("password"))
        if not name.isalnum() or len(name) > LONGEST_NAME or len(password) not in PASSWORD:
            wrong = (
                f"A name has letters and digits, {LONGEST_NAME} at most; "
                f"a password {PASSWORD[0]} to {PASSWORD[-1]} characters."
            )
            return self.login(conn.put_status(422), name[:LONGEST_NAME], wrong)
        if not await knows(name, password):
            return self.login(conn.put_status(403), name, "That is not the password of this name.")
        conn.configure_session(renew=True)
        delete_csrf_token(conn)
        conn.put_session("person", name)
        return put_flash(conn, "info", f"Welcome, {name}.").redirect("/")

    @post("/logout")
    def leave(self, conn: Conn) -> Conn:
        """Forget who it was."""
        return conn.configure_session(drop=True).redirect("/")

    @error(Exception)
    def sorry(self, conn: Conn, error: Exception) -> Conn:
        """A page for what went wrong; what is our fault is logged, and not told."""
        told = str(error) if (conn.status or 500) < 500 else "That was our fault."
        return conn.render("error.html", status=conn.status, told=told)


def field(conn: Conn, name: str) -> str:
    """A text of the form, without the white space around it; "" where there is none."""
    value = conn.body_params.get(name)
    return value.strip() if isinstance(value, str) else ""


# What waits for the disk or computes for long is `blocking`: it runs in a thread, and is awaited.


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """A connection for one transaction; texts of users go into SQL as parameters only."""
    with closing(sqlite3.connect(FOLDER / "guestbook.sqlite3")) as db, db:
        db.row_factory = sqlite3.Row
        yield db


@blocking
def newest() -> list[Any]:
    """The entries that the page shows."""
    with database() as db:
        return db.execute("select * from entries order by number desc limit 100").fetchall()


@blocking
def write(person: str, text: str, picture: str | None) -> None:
    """A new entry."""
    with database() as db:
        db.execute(
            "insert into entries (name, text, picture) values (?, ?, ?)", (person, text, picture)
        )


@blocking
def knows(name: str, password: str) -> bool:
    """Whether it is the password of this name. A name that nobody has gets it."""
    with database() as db:
        found = db.execute("select salt, hash from people where name = ?", (name,)).fetchone()
    salt = secrets.token_bytes(16) if found is None else found["salt"]
    made = hashlib.scrypt(password.encode(), salt=salt, **COST)
    if found is not None:
        return hmac.compare_digest(made, found["hash"])
    with database() as db:
        new = db.execute("insert or ignore into people values (?, ?, ?)", (name, salt, made))
        return new.rowcount == 1


@blocking
def picture_kind(upload: Upload) -> str | None:
    """The ending for a picture, by its first bytes and not by what it is called; None for all else.

    SVG is none of them: it may hold scripts.
    """
    with upload.open() as file:
        start = file.read(12)
    if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        return ".webp"
    kinds = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif"}
    return next((ending for magic, ending in kinds.items() if start.startswith(magic)), None)


class Guestbook(Application):
    """The router, and the tables that it needs."""

    router = GuestbookRouter

    def start(self) -> None:
        """Before the first connection."""
        with database() as db:
            db.executescript(SCHEMA)
