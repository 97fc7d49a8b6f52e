"""The example of each plug runs, and each plug says what it takes."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import plugpy.conn.conditional
import plugpy.plugs
from plugpy.plugs import __all__ as names

MODULES = sorted(
    {
        info.name
        for info in pkgutil.walk_packages(plugpy.plugs.__path__, "plugpy.plugs.")
        if not info.ispkg
    }
    | {plugpy.conn.conditional.__name__}
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(name), raise_on_error=False)
    assert result.failed == 0


@pytest.mark.parametrize("name", [name for name in names if name[0].isupper()])
def test_each_plug_has_the_same_docstring(name):
    plug = getattr(plugpy.plugs, name)
    text = plug.__doc__
    assert "Options:" in text
    assert ">>>" in text
    assert text.index("Options:") < text.index(">>>")


@pytest.mark.parametrize("name", names)
def test_each_plug_is_in_the_table(name):
    if name[0].isupper():
        assert f"| {name} |" in plugpy.plugs.__doc__


def test_a_plug_that_does_not_exist():
    with pytest.raises(AttributeError, match="Nothing"):
        _ = plugpy.plugs.Nothing
    assert dir(plugpy.plugs) == names
