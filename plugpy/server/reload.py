"""Watching source files, for `--reload`."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from typing import Any, Final

from plugpy.server.errors import StartError
from plugpy.server.settings import Settings

DEBOUNCE: Final = 50
"""Milliseconds of quiet after a change until it is told: an editor writes a file in several steps,
a version control system many files."""

SKIPPED_FOLDERS: Final = frozenset(
    {
        "__pycache__",
        "node_modules",
        "site-packages",
        "build",
        "dist",
    }
)
"""Folders that are never watched, beside those whose name starts with a dot."""


class Watcher:
    """Calls `on_change(paths)` in `loop` when files that match the settings changed.

    Raises StartError when watchfiles is not installed or a folder does not exist.
    """

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        on_change: Callable[[list[str]], None],
    ) -> None:
        try:
            from watchfiles import watch
        except ModuleNotFoundError:
            raise StartError(
                f"{settings.source('reload')}: reloading needs watchfiles; "
                "pip install 'plugpy[reload]'"
            ) from None
        self._watch = watch
        self._folders = [os.path.abspath(folder) for folder in _folders(settings)]
        for folder in self._folders:
            if not os.path.isdir(folder):
                raise StartError(f"can't watch {folder!r}: there is no such folder")
        self._include: tuple[str, ...] = settings["reload_include"]
        self._exclude: tuple[str, ...] = settings["reload_exclude"]
        self._loop = loop
        self._on_change = on_change
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to watch, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop to watch and wait for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def matches(self, path: str) -> bool:
        """Whether a change of `path` counts."""
        folder = next((folder for folder in self._folders if _inside(path, folder)), None)
        if folder is None:
            return False
        relative = os.path.relpath(path, folder)
        *folders, name = relative.split(os.sep)
        if any(part in SKIPPED_FOLDERS or part.startswith(".") for part in folders):
            return False
        if any(fnmatch(name, pattern) or fnmatch(relative, pattern) for pattern in self._exclude):
            return False
        return any(
            fnmatch(name, pattern) or fnmatch(relative, pattern) for pattern in self._include
        )

    def _run(self) -> None:
        changes: Iterable[set[tuple[Any, str]]] = self._watch(
            *self._folders,
            watch_filter=lambda change, path: self.matches(path),
            debounce=DEBOUNCE * 4,
            step=DEBOUNCE,
            stop_event=self._stop,
            raise_interrupt=False,
            rust_timeout=200,
        )
        for change in changes:
            paths = sorted({path for _, path in change})
            try:
                self._loop.call_soon_threadsafe(self._on_change, paths)
            except RuntimeError:  # the loop was closed in between
                return


def _folders(settings: Settings) -> Iterable[str]:
    return settings["reload_dir"] or (settings["app_dir"],)


def _inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
