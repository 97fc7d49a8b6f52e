"""docs/reference/control.md, made of the tables: python -m plugpy.server.control.reference"""

# ruff: noqa: E501 - a paragraph of Markdown is one line

from plugpy.server.control.commands import COMMANDS
from plugpy.server.control.errors import CODES

INTRODUCTION = """\
# The control socket

What `plugpy ctl` asks, and any program of the same user may ask: see [how to use it](../how-to/control.md). This page is generated (`python -m plugpy.server.control.reference`).

A unix socket with mode 0600 in a folder that only its user may enter; the kernel tells who connects, and others than that user and root are disconnected. A request is a line of JSON of 64 KB at most, an answer is one line:

```json
{"id": 1, "command": "connections", "arguments": {"limit": 5}}
{"id": 1, "ok": {"total": 0, "matching": 0, "partial": false, "connections": []}}
{"id": 2, "error": {"code": "usage", "message": "there is no command 'x'"}}
```

32 clients are served at a time; one that asks nothing for 5 minutes is disconnected. In Python:

```text
from plugpy.server.control import ControlClient

with ControlClient.find() as server:      # or ControlClient("/run/app.sock")
    print(server.ask("connections", state="handling", limit=5))
```

`ask` raises `ControlError`, which has a `code`, and `NoServerError`.
"""


def render() -> str:
    """The page."""
    lines = [INTRODUCTION, "## Commands", ""]
    lines += ["| command | arguments | what it does |", "|---|---|---|"]
    for command in COMMANDS.values():
        arguments = ", ".join(
            f"`{one.name}`{' (needed)' if one.required else ''}" for one in command.parameters
        )
        changes = " Changes the server." if command.changing else ""
        lines.append(f"| `{command.name}` | {arguments or '-'} | {command.help}{changes} |")
    lines += ["", "## Arguments", "", "| argument | default | |", "|---|---|---|"]
    seen = set()
    for command in COMMANDS.values():
        for one in command.parameters:
            if (one.name, one.help) not in seen:
                seen.add((one.name, one.help))
                default = "-" if one.default is None else f"`{one.default}`"
                lines.append(f"| `{one.name}` | {default} | {one.help} |")
    lines += ["", "## Errors", "", "| code | meaning |", "|---|---|"]
    lines += [f"| `{code}` | {meaning} |" for code, meaning in CODES.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(render(), end="")
