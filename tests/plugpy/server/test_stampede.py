"""Random processes are killed under load, for some seconds: bench/soak.py, that runs for a million
requests by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_stampede(loop: str) -> None:
    command = [sys.executable, "bench/soak.py", "--requests", "12000", "--loop", loop]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(done.stdout)
    assert facts["answered"] > 11_000
    assert facts["wrong"] == facts["refused"] == facts["late"] == 0
    assert facts["killed"] + facts["others killed"] > 0
