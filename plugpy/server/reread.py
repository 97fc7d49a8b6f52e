"""Reading the configuration again while the server runs, on SIGHUP."""

import os
from collections.abc import Callable
from typing import Final, TypeAlias

from plugpy.server.options import OPTIONS
from plugpy.server.settings import Settings

Reread: TypeAlias = Callable[[], Settings]
"""Resolves the settings anew: the same flags, over the variables, env-file and TOML of now."""

FIXED: Final = frozenset(
    option.name for option in OPTIONS if option.group == "listen" and option.name != "backlog"
) | {"control", "reload", "reload_dir", "reload_include", "reload_exclude"}
"""Options that belong to what the master holds as long as it runs: its sockets, its watcher."""


def take_over(old: Settings, new: Settings) -> list[str]:
    """Keep in `new` what can't change while the server runs; sentences about what was kept.

    The variables of the env-file go into the environment, where the next workers find them; those
    of the old one that are not in the new one leave it.
    """
    kept = []
    for option in OPTIONS:
        name = option.name
        if name in FIXED and new[name] != old[name]:
            shown = option.text(old[name]) or "unset"
            kept.append(
                f"{new.source(name)}: {option.key} can't change while the server runs: it stays "
                f"{shown}; restart the server to change it"
            )
            new.values[name] = old.values[name]
            new.sources.pop(name, None)
            if name in old.sources:
                new.sources[name] = old.sources[name]
    for variable in old.exports:
        os.environ.pop(variable, None)
    os.environ.update(new.exports)
    return kept
