"""The command `plugpy`: serve, ctl, routes, openapi, load.

`main` is its entry point. Each command lives in a file of its own, which is imported when the
command is used, so that no command pays for another.
"""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (`sys.argv` by default) and exit with its code.

    Exit codes are those of plugpy.server.errors: 0, 1 failure, 2 usage, 3 start.
    """
    from plugpy.cli.commands import run

    sys.exit(run(sys.argv[1:] if arguments is None else arguments))
