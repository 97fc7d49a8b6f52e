"""The examples of the kit run, and its reference has every name."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import plugpy.testing

MODULES = [info.name for info in pkgutil.walk_packages(plugpy.testing.__path__, "plugpy.testing.")]
REFERENCE = Path(__file__).parents[3] / "docs/reference/testing.md"


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", plugpy.testing.__all__)
def test_each_name_is_in_the_reference(name):
    assert f"`{name}" in REFERENCE.read_text()
    assert getattr(plugpy.testing, name).__doc__
