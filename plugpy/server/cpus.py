"""How many CPUs this process may use: what `--workers auto` stands for."""

import os
from pathlib import Path


def available_cpus(quota_file: str = "/sys/fs/cgroup/cpu.max") -> int:
    """CPUs of the affinity mask, fewer when the control group (a container) has a lower quota.

    Always at least 1. quota_file: of cgroup v2, "MICROSECONDS PERIOD" or "max PERIOD".
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        count = os.cpu_count() or 1
    try:
        quota, period = Path(quota_file).read_text().split()
        if quota != "max":
            # A share of a CPU does not feed a worker of its own.
            count = min(count, int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        pass
    return max(1, count)
