"""The command line itself: help, versions, mistakes, configuration. Nothing is served here."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from plugpy._version import __version__
from plugpy.cli.commands import run
from plugpy.cli.reference import render
from plugpy.server.options import GROUPS, OPTIONS

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def in_folder(app_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in the folder of the application."""
    monkeypatch.chdir(app_dir)
    monkeypatch.syspath_prepend(str(app_dir))


@pytest.fixture
def plugpy(capfd: pytest.CaptureFixture[str]) -> Any:
    """Run the command line in this process: exit code, standard output, standard error."""

    def plugpy(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return plugpy


def test_version(plugpy: Any) -> None:
    assert plugpy("--version") == (0, f"plugpy {__version__}\n", "")


def test_the_help_of_serve_has_every_option_in_its_group_with_its_variable(plugpy: Any) -> None:
    code, out, _ = plugpy("serve", "--help")
    assert code == 0
    for heading in GROUPS.values():
        assert f"\n{heading}:\n" in out
    for option in OPTIONS:
        assert (option.flag in out) != option.secret
        assert (option.variable in out) != option.secret


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sreve"], "there is no command 'sreve'; did you mean 'serve'?"),
        (["app:plug"], "did you mean 'plugpy serve app:plug'?"),
        (["serve", "app:plug", "--prot", "1"], "there is no option --prot; did you mean '--port'"),
        (["serve", "app:plug", "--port", "x"], "'x' is not a whole number from 0 to 65535"),
        (["serve", "app:plug", "--http", "h2"], "'h2' is not one of httptools, h11"),
        (["serve", "app:plug", "--header-timeout", "soon"], "write it as 30s, 5m"),
        (["serve", "app:plug", "--max-body", "big"], "write it as 8MB"),
        (["serve"], "which application? give it as module:attribute"),
        (["serve", "app.plug"], "did you mean 'app:plug'"),
        (["serve", "app:plug", "--uds", "x", "--fd", "3"], "exclude each other"),
    ],
)
def test_wrong_usage_is_code_2_and_says_what_to_do(
    plugpy: Any, arguments: list[str], message: str
) -> None:
    code, out, err = plugpy(*arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("ap:plug", "there is no module 'ap' in .*; did you mean 'app'"),
        ("app:plugg", "app has no attribute 'plugg'; did you mean 'plug'"),
        ("app:not_callable", "app:not_callable is an int; an application is a Router, a plug"),
    ],
)
def test_an_application_that_can_not_be_served_is_code_3(
    plugpy: Any, target: str, message: str
) -> None:
    code, out, err = plugpy("serve", "--check-config", target)
    assert (code, out) == (3, "")
    assert re.search(message, err)


def test_check_config_of_what_is_good(plugpy: Any) -> None:
    assert plugpy("serve", "app:plug", "--check-config") == (0, "", "the configuration is good\n")


def test_print_config_is_toml_with_the_source_of_each_value(
    plugpy: Any, monkeypatch: pytest.MonkeyPatch, app_dir: Path
) -> None:
    monkeypatch.setenv("PLUGPY_BACKLOG", "7")
    monkeypatch.setenv("PLUGPY_SECRET_KEY_BASE", "hunter2")
    (app_dir / "plugpy.toml").write_text("workers = 'auto'\nuds-mode = '600'\nport = 9\n")
    code, out, _ = plugpy("serve", "app:plug", "--print-config", "--port", "5")
    assert code == 0
    assert re.search(r"^port = 5 +# --port$", out, re.MULTILINE)
    assert re.search(r"^backlog = 7 +# PLUGPY_BACKLOG$", out, re.MULTILINE)
    assert re.search(r'^workers = "auto" +# workers in plugpy.toml$', out, re.MULTILINE)
    assert re.search(r'^host = "127.0.0.1" +# default$', out, re.MULTILINE)
    assert re.search(r"^# uds = +# default$", out, re.MULTILINE)
    assert "hunter2" not in out
    # What is printed can be saved and means the same.
    saved = tomllib.loads(out)
    assert (saved["app"], saved["port"], saved["workers"]) == ("app:plug", 5, "auto")
    (app_dir / "plugpy.toml").write_text(out)
    monkeypatch.delenv("PLUGPY_BACKLOG")
    _, again, _ = plugpy("serve", "--print-config")
    assert tomllib.loads(again) == saved


def test_the_reference_is_up_to_date() -> None:
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text()
    assert page == render(), "run python -m plugpy.cli.reference > docs/reference/command-line.md"


def test_the_reference_has_every_option() -> None:
    for option in OPTIONS:
        assert f"`{option.variable}`" in render()
