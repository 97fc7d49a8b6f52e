"""Memory of worker processes, and what loading the application before a fork would save.

    python bench/memory.py [--fat MB]

Serves an application with 1, 2 and 4 workers under a master, asks each a few times, and reads
/proc/PID/smaps_rollup: resident (RSS), proportional (PSS) and private bytes. Then the same
application is imported once in a process that forks: what a preloading master would have.
"""

import argparse
import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HELLO = """
from plugpy import Router, get

class App(Router):
    @get("/")
    def index(self, conn):
        return conn.send_resp(200, "Hello Plug!")
"""

FAT = """
# As many small objects as a large application has: modules, classes, tables.
TABLE = {{number: (str(number), [number] * 4) for number in range({count})}}
"""

OBJECTS_PER_MB = 3_400


def memory(pid: int) -> dict[str, float]:
    """Megabytes of one process: rss, pss, private."""
    found = {"rss": 0.0, "pss": 0.0, "private": 0.0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        key = {"Rss": "rss", "Pss": "pss", "Private_Clean": "private", "Private_Dirty": "private"}
        if name in key:
            found[key[name]] += int(rest.split()[0]) * 1024 / 1e6
    return found


def children(pid: int) -> list[int]:
    """Process ids of the children."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def show(title: str, pids: list[int]) -> None:
    """Print the mean of several processes, and the sum of what they take of the machine."""
    rows = [memory(pid) for pid in pids]
    mean = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    total = sum(row["pss"] for row in rows)
    print(
        f"| {title} | {mean['rss']:.1f} | {mean['pss']:.1f} | {mean['private']:.1f} "
        f"| {total:.1f} |",
        flush=True,
    )


def serve(folder: str, workers: int, title: str) -> None:
    """Measure `workers` processes of plugpy serve."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "plugpy",
            "serve",
            "app:App",
            "--port",
            "0",
            "--no-access-log",
            "--workers",
            str(workers),
            "--max-requests",
            "1000000000",
        ],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    url = process.stderr.readline().split(" on ")[1].split()[0]
    for _ in range(100 * workers):
        urllib.request.urlopen(url).read()
    show(f"{title}, {workers} workers", children(process.pid))
    if workers == 1:
        show(f"{title}, its master", [process.pid])
    process.terminate()
    process.wait()
    process.stderr.close()


def fork(folder: str, workers: int, title: str, *, freeze: bool) -> None:
    """Measure `workers` forks of a process that has imported the application."""
    template = os.fork()
    if template == 0:
        os.chdir(folder)
        sys.path.insert(0, folder)
        from app import App  # type: ignore[import-not-found]

        import plugpy.http
        import plugpy.server.server  # noqa: F401
        from plugpy import testing

        if freeze:
            gc.collect()
            gc.freeze()
        for _ in range(workers):
            if os.fork() == 0:
                plug = App()
                for _ in range(100):
                    plug(testing.conn("GET", "/"))
                gc.collect()
                signal.pause()
        signal.pause()
    while len(children(template)) < workers:
        time.sleep(0.05)
    time.sleep(1.0)
    pids = children(template)
    show(f"{title}, {workers} forks{', frozen' if freeze else ''}", pids)
    for pid in [*pids, template]:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(template, 0)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fat", type=int, default=100, help="MB that the fat application imports")
    fat = parser.parse_args().fat
    print("| application | RSS | PSS | private | PSS of all |\n|---|---|---|---|---|")
    for title, source in (
        ("hello", HELLO),
        (f"{fat} MB of objects", HELLO + FAT.format(count=fat * OBJECTS_PER_MB)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "app.py").write_text(source)
            for workers in (1, 2, 4):
                serve(folder, workers, title)
            for freeze in (False, True):
                fork(folder, 4, title, freeze=freeze)


if __name__ == "__main__":
    main()
