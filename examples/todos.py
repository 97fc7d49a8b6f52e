"""A to-do list whose handlers say by their annotations what they take and what they answer.

    plugpy serve todos:Todos --app-dir examples

Then http://127.0.0.1:4000/docs shows the operations and lets you try them.

    curl --json '{"title": "Water the plants"}' http://127.0.0.1:4000/todos
    curl "http://127.0.0.1:4000/todos?done=false&tag=home"
    plugpy openapi todos:Todos --app-dir examples

A to-do like {"title": "", "due": "tomorrow"} is answered with 422 and all that is wrong with it.
The list is in memory, one for each worker. Needs msgspec: pip install "plugpy[api]".
"""

from datetime import date
from enum import Enum
from itertools import count
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from plugpy import Conn, Router, delete, forward, get, patch, plug, post
from plugpy.api import OpenAPI, Problem, Query, typed
from plugpy.plugs import SecureHeaders

Title = Annotated[str, Meta(min_length=1, max_length=200, description="What there is to do")]
Tags = Annotated[list[Annotated[str, Meta(max_length=30)]], Meta(max_length=10)]

MOST = 1000
"""To-dos that are kept: whoever reaches this server may add some."""


class Priority(Enum):
    """How much it matters."""

    LOW = "low"
    HIGH = "high"


class NewTodo(Struct, forbid_unknown_fields=True):
    """What is sent for a new one."""

    title: Title
    due: date | None = None
    priority: Priority = Priority.LOW
    tags: Tags = []


class Todo(NewTodo, kw_only=True):
    """One to-do."""

    id: int
    done: bool = False


class Change(Struct, forbid_unknown_fields=True):
    """What is to be another; the rest stays."""

    title: Title | UnsetType = UNSET
    due: date | UnsetType | None = UNSET
    priority: Priority | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    done: bool | UnsetType = UNSET


class Filter(Struct):
    """Which ones are wanted."""

    done: bool | None = None
    tag: list[str] = []
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class Todos(Router):
    """The list, and its document at /docs."""

    plug(SecureHeaders)

    def __init__(self) -> None:
        super().__init__()
        self.todos: dict[int, Todo] = {}
        self.numbers = count(1)

    @get("/todos")
    @typed(tags=["todos"])
    def index(self, wanted: Annotated[Filter, Query]) -> list[Todo]:
        """List to-dos.

        With several tags those that have all of them.
        """
        found = [
            todo
            for todo in self.todos.values()
            if wanted.done in (None, todo.done) and set(wanted.tag) <= set(todo.tags)
        ]
        return found[: wanted.limit]

    @post("/todos")
    @typed(status=201, tags=["todos"], responses={507: None})
    def create(self, conn: Conn, new: NewTodo) -> Todo:
        """Add a to-do."""
        if len(self.todos) == MOST:
            raise Problem(507, f"There are {MOST} to-dos. Do some.")
        todo = Todo(id=next(self.numbers), **structs.asdict(new))
        self.todos[todo.id] = todo
        conn.put_resp_header("location", self.url_for("show", number=todo.id, _conn=conn))
        return todo

    @get("/todos/:number")
    @typed(tags=["todos"], responses={404: None})
    def show(self, number: int) -> Todo:
        """Show a to-do."""
        return self.find(number)

    @patch("/todos/:number")
    @typed(tags=["todos"], responses={404: None})
    def update(self, number: int, change: Change) -> Todo:
        """Change a to-do."""
        given: dict[str, Any] = {
            name: value for name, value in structs.asdict(change).items() if value is not UNSET
        }
        self.todos[number] = structs.replace(self.find(number), **given)
        return self.todos[number]

    @delete("/todos/:number")
    @typed(tags=["todos"], responses={404: None})
    def remove(self, number: int) -> None:
        """Remove a to-do."""
        del self.todos[self.find(number).id]

    forward("/docs", to=OpenAPI, title="To-dos", version="1.0.0")

    def find(self, number: int) -> Todo:
        """The to-do of this number. Raises Problem."""
        try:
            return self.todos[number]
        except KeyError:
            raise Problem(404, f"There is no to-do {number}.") from None
