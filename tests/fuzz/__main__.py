"""Coverage-guided fuzzing of the parser seams: `python tests/fuzz [TARGET ...] [--seconds N]`.

Each target runs for N seconds (3 unless told) in a process of its own, beginning with its seeds. A
find ends with status 1 and leaves its input in the directory that is named; put it into the corpus
once it is fixed. Without atheris (the extra `fuzz`) it says so and ends with status 0.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path


def one(target: str, options: list[str]) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["plugpy", "acceptors"]):
        from targets import TARGETS
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


def main() -> int:
    from targets import TARGETS, seeds

    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=3, help="for each target")
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - set(TARGETS)
    if unknown:
        parser.error(f"unknown target {', '.join(sorted(unknown))}: one of {', '.join(TARGETS)}")
    if find_spec("atheris") is None:
        print('not fuzzed: atheris is not installed (pip install "plugpy[fuzz]")')
        return 0
    for target in arguments.targets or TARGETS:
        folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-"))
        corpus, finds = folder / "corpus", folder / "finds"
        corpus.mkdir()
        finds.mkdir()
        for number, seed in enumerate(seeds(target)):
            (corpus / str(number)).write_bytes(seed)
        command = [sys.executable, __file__, "--one", target, str(corpus)]
        command += [f"-max_total_time={arguments.seconds}", f"-artifact_prefix={finds}/"]
        command += ["-max_len=2048", "-timeout=10", "-verbosity=0", "-print_final_stats=1"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            told = [line for line in done.stdout.splitlines() if not line.startswith("INFO: ")]
            print("\n".join(told))
            print(f"{target}: a find, its input is in {finds}")
            return 1
        runs = [line.split()[-1] for line in done.stdout.splitlines() if "executed_units" in line]
        shutil.rmtree(folder)
        print(f"{target}: {runs[0] if runs else '?'} inputs, no find")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main())
