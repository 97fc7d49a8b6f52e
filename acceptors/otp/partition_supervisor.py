"""PartitionSupervisor: the same child several times, and a key to choose one.

A single process that everybody asks is a bottleneck; n of them, chosen by a key, are not.
Source: Elixir's PartitionSupervisor.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Hashable
from typing import Any

from acceptors.otp.child_spec import ChildSpec, child_spec
from acceptors.otp.process import ParentProcess, Process
from acceptors.otp.supervisor import Supervisor


class PartitionSupervisor(Supervisor):
    """A one_for_one supervisor of `partitions` children with the ids 0, 1, ...

    partitions: how many; the number of processors by default.
    with_arguments: `(arguments, partition) -> arguments` of each child's start function.
    """

    __slots__ = ("_make", "partitions")

    def __init__(
        self,
        child: Any,
        *,
        partitions: int | None = None,
        with_arguments: Callable[[tuple[Any, ...], int], tuple[Any, ...]] | None = None,
        parent: ParentProcess | None = None,
        **flags: Any,
    ) -> None:
        count = os.cpu_count() or 1 if partitions is None else partitions
        if count < 1:
            raise ValueError(f"partitions are 1 or more, got {partitions!r}")
        template = child_spec(child)

        def make(partition: int) -> ChildSpec:
            args = template.args
            if with_arguments is not None:
                args = with_arguments(args, partition)
            return dataclasses.replace(template, id=partition, args=args)

        super().__init__([make(index) for index in range(count)], parent=parent, **flags)
        self._make = make
        self.partitions = count

    def which(self, key: Hashable) -> Process | None:
        """The child for `key`, None while it restarts: `abs(key) % partitions`, or by its hash."""
        number = abs(key) if isinstance(key, int) else hash(key)
        return self.which_child(number % self.partitions)

    def whereis_name(self, key: Hashable) -> Process | None:
        """`which`; so `via(partition_supervisor, key)` is a destination."""
        return self.which(key)

    def register_name(self, key: Hashable, process: Process) -> bool:
        """Partitions are not registered from outside: always False."""
        return False

    async def resize(self, partitions: int) -> None:
        """Start or stop partitions until there are so many."""
        if partitions < 1:
            raise ValueError(f"partitions are 1 or more, got {partitions!r}")
        while self.partitions > partitions:
            # First the number: nobody is sent to a partition that stops.
            self.partitions -= 1
            await self.terminate_child(self.partitions)
            await self.delete_child(self.partitions)
        while self.partitions < partitions:
            await self.start_child(self._make(self.partitions))
            self.partitions += 1
