"""Reports of supervisors, held back while the tree starts.

A child that does not start is reported by each supervisor above it. Where one clear line for the
user says the same ("port 4000 is in use"), those are noise; where none does, they are the answer.
"""

import logging
from types import TracebackType
from typing import Final

REPORTS: Final = logging.getLogger("acceptors.otp")


class HeldReports(logging.Filter):
    """In a `with` block, keeps what supervisors report; `emit` logs it after all."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record: nobody sees it now."""
        self._records.append(record)
        return False

    def __enter__(self) -> "HeldReports":
        REPORTS.addFilter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        REPORTS.removeFilter(self)
        if error is None:
            self.emit()

    def emit(self) -> None:
        """Log what was kept."""
        records, self._records = self._records, []
        for record in records:
            REPORTS.handle(record)
