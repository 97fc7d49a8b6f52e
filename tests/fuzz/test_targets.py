"""Every fuzz target over its seeds, and over bytes that hypothesis thinks of: a short run without a
fuzzer. `make fuzz` runs them guided by coverage."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

_spec = importlib.util.spec_from_file_location("targets", Path(__file__).with_name("targets.py"))
assert _spec is not None
assert _spec.loader is not None
targets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(targets)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seeds(name):
    inputs = targets.seeds(name)
    assert inputs
    for data in inputs:
        targets.TARGETS[name](data)


@pytest.mark.parametrize("name", targets.TARGETS)
@given(data=st.data())
@settings(deadline=None)
def test_near_the_seeds(name, data):
    seed = data.draw(st.sampled_from(targets.seeds(name)))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, len(seed)))
    targets.TARGETS[name](seed[:start] + data.draw(st.binary(max_size=6)) + seed[end:])
