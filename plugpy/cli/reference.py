"""docs/reference/command-line.md, made from the table of options.

python -m plugpy.cli.reference > docs/reference/command-line.md
"""

import re
from collections.abc import Iterable

from plugpy.cli.commands import COMMANDS
from plugpy.server import errors
from plugpy.server.options import GROUPS, OPTIONS, Option

INTRODUCTION = """\
# Command line

<!-- Made by `python -m plugpy.cli.reference` from plugpy/server/options.py; do not edit. -->

{commands}

`plugpy` is also `python -m plugpy`. `plugpy COMMAND --help` shows the options of a command.

## plugpy serve

```
plugpy serve [OPTIONS] [APP]
```

`APP` is an import string, `module:attribute` or `module:attribute.attribute`. It names a Router
class or instance, any plug (a callable `conn -> conn`, or a class whose instances are one), an
ASGI 3 or a WSGI application. Classes are instantiated without arguments; with `--factory` a
function is called. It may also be given by `PLUGPY_APP` or by the key `app` in TOML.

`--check-config` checks the options and imports the application; `--print-config` prints every
option as TOML with where its value comes from. Both exit without serving.

Each option can be written in five ways. A flag wins over an environment variable, that over a
variable in the env-file, that over TOML, and that over the default:

1. the flag, `--max-connections 500`
2. the environment variable, `PLUGPY_MAX_CONNECTIONS=500`
3. the same variable in the file of `--env-file` (needs `plugpy[dotenv]`)
4. the key in `plugpy.toml`, or in the table `[tool.plugpy]` of `pyproject.toml` where there is no
   `plugpy.toml`: `max-connections = 500`; underscores are understood too
5. `plugpy.run(app, max_connections=500)` and `Server(app, max_connections=500)` from Python, where
   the other sources are not looked at

An unknown key is an error; a misspelt `PLUGPY_` variable is warned of. Spans of time are written
`30s`, `5m`, `1m30s`, `500ms` or as a number of seconds; sizes `8MB` (8,000,000), `64KiB` (65,536)
or as a number of bytes. Several values are separated by commas in a variable, are an array in TOML,
and a repeated flag. Switches take `1`, `true`, `yes`, `on` and their opposites.

"""

SIGNALS = """\
### Signals

| signal | one process | master (`--workers`, `--reload`) | worker |
|---|---|---|---|
| SIGTERM, SIGINT | drain and stop; a second one stops at once | the same, for all workers | \
SIGTERM: drain, while its successor starts; SIGINT: left to the master |
| SIGHUP | drain and stop: there is no successor to hand over to | read the configuration \
again, then roll: each worker is replaced once its successor is ready | ignored |
| SIGTTIN, SIGTTOU | - | one worker more, one less | - |
| SIGUSR1 | - | - | write the stacks of its threads where the master reads them |

To drain is to stop accepting, answer what is in flight, and close; what is not finished when
`--shutdown-timeout` is over is closed.

### Output

Standard error gets one line with the URL when the server accepts connections, and the messages of
Python's `logging`. Standard output gets the access log: time, peer, method, path with query,
status, bytes of the response, duration, route, request id. In queries, values whose names look
like secrets (password, token, ...) are masked. With `--log-format json` all of it is JSON, one
object a line. Colours are used on terminals, unless `NO_COLOR` is set.

### Exit codes

"""


def render() -> str:
    """The page as Markdown."""
    commands = "\n".join(
        ["| command | |", "|---|---|"]
        + [f"| `plugpy {name}` | {line} |" for name, (_, line) in COMMANDS.items()]
    )
    page = INTRODUCTION.replace("{commands}", commands)
    for group, heading in GROUPS.items():
        page += f"### {heading}\n\n{_table(o for o in OPTIONS if o.group == group)}\n"
    page += SIGNALS
    found = re.search(r"^\| exit code.*\|$", errors.__doc__ or "", re.MULTILINE | re.DOTALL)
    assert found is not None
    return page + found[0] + "\n"


def _table(options: Iterable[Option]) -> str:
    lines = ["| flag | variable | values | default | |", "|---|---|---|---|---|"]
    lines += [_row(option) for option in options]
    return "\n".join(lines) + "\n"


def _row(option: Option) -> str:
    flags = f"`{option.flag}`"
    if option.short:
        flags = f"`{option.short}`, {flags}"
    if option.kind.flag:
        flags += f", `--no-{option.key}`"
    if option.secret:
        flags = f"none; TOML `{option.key}`"
    variables = ", ".join(f"`{name}`" for name in (option.variable, *option.variables))
    values = option.kind.metavar.replace("|", ", ")
    default = option.text(option.default)
    return f"| {flags} | {variables} | {values} | {default or 'none'} | {option.help} |"


if __name__ == "__main__":
    print(render(), end="")
