"""What the reference shows runs, and the door has what it says."""

from __future__ import annotations

import re
from pathlib import Path

from acceptors import otp
from acceptors.otp import restarts

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "otp.md"


def test_the_first_example_runs(capsys):
    source = re.search(r"```python\n(.*?)```", REFERENCE.read_text(), re.DOTALL).group(1)
    exec(compile(source, str(REFERENCE), "exec"), {"__name__": "example"})
    # The heartbeat counts once, and once is asked here.
    assert capsys.readouterr().out == "12\n"


def test_the_door_is_flat_and_sorted():
    for name in otp.__all__:
        assert getattr(otp, name) is not None
    assert len(set(otp.__all__)) == len(otp.__all__)


def test_add_restart():
    assert restarts.add_restart([0.0, 1.0], 5.0, 3, 5.0) == ([0.0, 1.0, 5.0], True)
    assert restarts.add_restart([0.0, 1.0], 5.5, 1, 5.0) == ([1.0, 5.5], False)
    assert restarts.add_restart([], 0.0, 0, 5.0) == ([0.0], False)
