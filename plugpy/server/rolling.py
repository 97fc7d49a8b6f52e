"""Roller: replaces workers one at a time, each by a successor that is ready before it drains.

For a roll (SIGHUP, a change of a source file) and for single workers that have done enough
(plugpy.server.recycling).
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from acceptors.otp import current_clock
from plugpy.server.backoff import backoff

if TYPE_CHECKING:
    from plugpy.server.master import Master
    from plugpy.server.slot import Slot
    from plugpy.server.worker_process import WorkerProcess

logger = logging.getLogger("plugpy.master")

RECYCLE_PAUSE: Final = 1.0
"""Seconds at least until a slot is recycled again whose worker could not be replaced."""


class Roller:
    """The line of slots whose workers are to be replaced. `busy`: one is being replaced."""

    __slots__ = ("_due", "_master", "_task")

    def __init__(self, master: "Master") -> None:
        self._master = master
        # In the order of their turns: slot -> the worker to replace, None for whoever is there.
        self._due: dict[Slot, WorkerProcess | None] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether workers are being replaced."""
        return self._task is not None

    def roll(self) -> None:
        """Replace all: those too that were replaced a moment ago, perhaps with what was before."""
        for slot in self._master.slots:
            self._due.pop(slot, None)
            self._due[slot] = None
        self._go()

    def recycle(self, slot: "Slot") -> bool:
        """Replace the worker of `slot` when its turn comes; False when it waits already."""
        if slot in self._due or current_clock().now() < slot.not_before:
            return False
        self._due[slot] = slot.process
        # Until its turn has come and gone.
        slot.not_before = float("inf")
        self._go()
        return True

    def cancel(self) -> None:
        """Replace nobody any more."""
        self._due.clear()
        if self._task is not None:
            self._task.cancel()

    def _go(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(
                self._run(), context=self._master.context()
            )

    async def _run(self) -> None:
        try:
            while self._due:
                slot = next(iter(self._due))
                worker = self._due.pop(slot)
                if worker is not None and slot.process is not worker:
                    slot.not_before = 0.0  # it ended by itself meanwhile
                elif not await self._replace(slot) and worker is None:
                    logger.error("the roll ends here: the workers of before keep serving")
                    self._due = {slot: one for slot, one in self._due.items() if one is not None}
        finally:
            self._task = None
        self._master.rolled()

    async def _replace(self, slot: "Slot") -> bool:
        """Replace the worker of `slot`; False when its successor could not start."""
        if slot not in self._master.slots:
            return True
        slot.cancel_timer()
        old = slot.process
        new = await self._master.launch(slot)
        if new is not None and await new.settled:
            slot.failures, slot.not_before = 0, 0.0
            if old is not None and slot.process is old:
                slot.process, slot.successor = new, None
                self._master.retire(slot, old)
            logger.info("%s serves now", new.label)
            return True
        if slot not in self._master.slots:
            return True
        slot.failures += 1
        pause = max(RECYCLE_PAUSE, backoff(slot.failures))
        slot.not_before = current_clock().now() + pause
        if slot.process is None or slot.process is new:
            return True  # nobody served there before; the master does what is to be done
        slot.successor = None
        if new is not None:
            self._master.report_end(slot, new)
        return False
