"""Restart intensity: how often a supervisor may restart before it gives up. Pure."""

from __future__ import annotations


def add_restart(
    restarts: list[float], now: float, intensity: int, period: float
) -> tuple[list[float], bool]:
    """Record a restart at `now`; return the restarts of the last `period` and whether to go on.

    A restart exactly `period` seconds ago still counts. More than `intensity` in a period is too
    many. Source: supervisor.erl, add_restart.

    >>> add_restart([0.0, 1.0], 5.0, intensity=3, period=5.0)
    ([0.0, 1.0, 5.0], True)
    >>> add_restart([0.0, 1.0], 5.5, intensity=1, period=5.0)
    ([1.0, 5.5], False)
    """
    recent = [moment for moment in restarts if moment >= now - period]
    recent.append(now)
    return recent, len(recent) <= intensity
