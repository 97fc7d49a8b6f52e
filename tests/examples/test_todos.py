"""examples/todos.py: typed handlers and their document."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from .conftest import EXAMPLES


@pytest.fixture
def todos(example, client):
    return client(example("todos:Todos"))


def test_a_to_do_from_its_beginning_to_its_end(todos):
    made = todos.post("/todos", json={"title": "Water the plants", "tags": ["home"]})
    assert made.status_code == 201
    assert made.json() == {
        "id": 1,
        "title": "Water the plants",
        "due": None,
        "priority": "low",
        "tags": ["home"],
        "done": False,
    }
    assert todos.get(made.headers["location"]).json() == made.json()
    changed = todos.patch("/todos/1", json={"done": True, "due": "2030-01-31"}).json()
    assert changed == {**made.json(), "done": True, "due": "2030-01-31"}
    assert todos.delete("/todos/1").status_code == 204
    for answer in (
        todos.get("/todos/1"),
        todos.delete("/todos/1"),
        todos.patch("/todos/1", json={}),
    ):
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is no to-do 1.")


def test_the_list_is_filtered(todos):
    for title, tags in (("a", ["home"]), ("b", ["home", "now"]), ("c", [])):
        todos.post("/todos", json={"title": title, "tags": tags})
    todos.patch("/todos/1", json={"done": True})

    def titles(query: str) -> list[str]:
        return [todo["title"] for todo in todos.get(f"/todos?{query}").json()]

    assert titles("") == ["a", "b", "c"]
    assert titles("done=false") == ["b", "c"]
    assert titles("tag=home&tag=now") == ["b"]
    assert titles("limit=1") == ["a"]
    assert todos.get("/todos?limit=101").status_code == 422


def test_all_that_is_wrong_is_told(todos):
    answer = todos.post("/todos", json={"title": "", "due": "tomorrow", "priority": "top"})
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == ["#/title", "#/due", "#/priority"]
    assert todos.post("/todos", json={"title": "t", "owner": "me"}).status_code == 422
    assert todos.get("/todos").json() == []


def test_the_list_has_an_end(todos, monkeypatch):
    monkeypatch.setattr(sys.modules["todos"], "MOST", 1)
    assert todos.post("/todos", json={"title": "t"}).status_code == 201
    assert todos.post("/todos", json={"title": "t"}).status_code == 507


def test_the_document_is_the_same_by_both_ways(todos):
    served = todos.get("/docs/openapi.json").json()
    OpenAPIV31SpecValidator(served).validate()
    ran = subprocess.run(
        [sys.executable, "-m", "plugpy", "openapi", "todos:Todos", "--app-dir", str(EXAMPLES)],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert json.loads(ran.stdout) == served
    assert "Water" not in todos.get("/docs").text
    assert "Add a to-do" in todos.get("/docs").text
