"""What a long run tells while it goes on, on standard error."""

import sys
import time


class Progress:
    """One line that is rewritten on a terminal; in a file only what is finished is kept."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._done = 0
        self._total = 0

    def expect(self, steps: int) -> None:
        """How many steps the run has in all."""
        self._total = steps

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        print(text, file=sys.stderr, flush=True)

    def step(self, text: str, *, size: int = 1) -> None:
        """`size` further steps have begun; `text` tells which."""
        if self._terminal:
            spent = time.monotonic() - self._started
            left = spent / self._done * (self._total - self._done) if self._done else 0
            share = f"{100 * self._done // max(1, self._total):3d} %"
            when = f", {left / 60:.0f} min left" if left >= 60 else ""
            line = f"{share}{when}  {text}"
            self._clear()
            print(line[:110], end="", file=sys.stderr, flush=True)
        self._done = min(self._total, self._done + size)

    def end(self) -> None:
        """Nothing more is to come."""
        self._clear()

    def _clear(self) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
