"""wrk, the client: one thread on a core of its own."""

import re
import subprocess
from dataclasses import dataclass

from bench.environments import BENCH, find_wrk
from bench.processes import cores, pinned

CONNECTIONS = 64


class WrkError(Exception):
    """wrk has counted nothing: most often the server is gone."""


@dataclass(frozen=True)
class Load:
    """What a run of wrk has counted."""

    requests: int
    seconds: float
    bad: int
    """Answers that were not 2xx or 3xx, and errors of sockets."""


def run(
    port: int,
    path: str,
    seconds: int,
    *,
    script: str = "",
    arguments: tuple[str, ...] = (),
    tls: bool = False,
) -> Load:
    """Load a server for `seconds`, in keep-alive unless the script says otherwise."""
    command = [find_wrk(), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
    if script:
        command += ["-s", str(BENCH / "scripts" / f"{script}.lua")]
    command += [f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}"]
    if arguments:
        command += ["--", *arguments]
    with pinned(cores()[1]):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    try:
        said, _ = process.communicate(timeout=seconds + 30)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return parse(said)


def parse(said: str) -> Load:
    """Read the report of wrk. Raises WrkError when it is none."""
    counted = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", said)
    if counted is None:
        raise WrkError(f"wrk gave no report: {said.strip()[-500:]}")
    unit = {"ms": 0.001, "s": 1.0, "m": 60.0}[counted[3]]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = re.search(r"Socket errors: (.*)", said)
    total = int(bad[1]) if bad else 0
    if errors:
        total += sum(int(number) for number in re.findall(r"\d+", errors[1]))
    return Load(int(counted[1]), float(counted[2]) * unit, total)
