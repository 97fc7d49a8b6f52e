"""Settings: sources, their order, and what is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.server.errors import ConfigurationError, StartError
from plugpy.server.options import BY_NAME, GROUPS, OPTIONS
from plugpy.server.settings import Settings, from_arguments, resolve


def settle(
    directory: Path,
    *,
    flags: dict[str, Any] | None = None,
    env: dict[str, str] | None = None,
    toml: str | None = None,
    pyproject: str | None = None,
    env_file: str | None = None,
) -> Settings:
    """Settings of these sources."""
    if toml is not None:
        (directory / "plugpy.toml").write_text(toml)
    if pyproject is not None:
        (directory / "pyproject.toml").write_text(pyproject)
    flags = dict(flags or {})
    if env_file is not None:
        (directory / "my.env").write_text(env_file)
        flags["env_file"] = "my.env"
    return resolve(None, flags, env or {}, directory)


def test_every_option_has_a_group_with_a_heading() -> None:
    assert {option.group for option in OPTIONS} == set(GROUPS)


def test_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    settings = settle(tmp_path)
    assert (settings["host"], settings["port"], settings["acceptors"]) == ("127.0.0.1", 4000, 100)
    assert (settings["max_connections"], settings["backlog"]) == (16_384, 1024)
    assert settings["shutdown_timeout"] == 15.0
    assert settings.source("port") == "default"


def test_the_table_has_the_limits_and_timeouts_of_http_with_the_same_defaults() -> None:
    from plugpy.http import HttpOptions

    unlisted = {"application", "access_log", "head_memo", "upgrades"}
    fields = {
        field.name: field.default
        for field in dataclasses.fields(HttpOptions)
        if field.init and field.name not in unlisted
    }
    rows = {option.name: option.default for option in OPTIONS if option.part == "http"}
    assert rows == fields


# Precedence: each source in turn is the strongest that is there.

TOML = "port = 1"
ENV_FILE = "PLUGPY_PORT=2\n"
ENV = {"PLUGPY_PORT": "3"}
FLAGS = {"port": 4}


@pytest.mark.parametrize(
    ("sources", "port", "source"),
    [
        ({}, 4000, "default"),
        ({"toml": TOML}, 1, "port in plugpy.toml"),
        ({"toml": TOML, "env_file": ENV_FILE}, 2, "PLUGPY_PORT in my.env"),
        ({"toml": TOML, "env_file": ENV_FILE, "env": ENV}, 3, "PLUGPY_PORT"),
        ({"toml": TOML, "env_file": ENV_FILE, "env": ENV, "flags": FLAGS}, 4, "--port"),
        ({"toml": TOML, "flags": FLAGS}, 4, "--port"),
        ({"env_file": ENV_FILE, "env": ENV}, 3, "PLUGPY_PORT"),
    ],
)
def test_precedence(tmp_path: Path, sources: dict[str, Any], port: int, source: str) -> None:
    settings = settle(tmp_path, **sources)
    assert settings["port"] == port
    assert settings.source("port") == source


@given(
    st.fixed_dictionaries(
        {}, optional={"flag": st.just(4), "env": st.just(3), "file": st.just(2), "toml": st.just(1)}
    )
)
def test_the_strongest_source_wins_whatever_else_is_there(
    tmp_path_factory: pytest.TempPathFactory, present: dict[str, int]
) -> None:
    settings = settle(
        tmp_path_factory.mktemp("settings"),
        flags={"port": 4} if "flag" in present else {},
        env=ENV if "env" in present else {},
        env_file=ENV_FILE if "file" in present else None,
        toml=TOML if "toml" in present else None,
    )
    assert settings["port"] == max(present.values(), default=4000)


def test_an_own_variable_wins_over_the_one_of_the_platform(tmp_path: Path) -> None:
    assert settle(tmp_path, env={"PORT": "5000"})["port"] == 5000
    assert settle(tmp_path, env={"PORT": "5000", "PLUGPY_PORT": "6000"})["port"] == 6000
    assert settle(tmp_path, env={"WEB_CONCURRENCY": "3"})["workers"] == 3


def test_an_empty_variable_is_as_good_as_unset(tmp_path: Path) -> None:
    assert settle(tmp_path, env={"PLUGPY_PORT": ""})["port"] == 4000


def test_the_application_may_come_from_each_source(tmp_path: Path) -> None:
    assert resolve("a:a", {}, {"PLUGPY_APP": "b:b"}, tmp_path).app == "a:a"
    assert settle(tmp_path, env={"PLUGPY_APP": "b:b"}, toml="app = 'c:c'").app == "b:b"
    assert settle(tmp_path, env_file="PLUGPY_APP=d:d", toml="app = 'c:c'").app == "d:d"
    assert settle(tmp_path, toml="app = 'c:c'").app == "c:c"


# TOML.


def test_plugpy_toml_goes_before_pyproject(tmp_path: Path) -> None:
    settings = settle(tmp_path, toml="port = 1", pyproject="[tool.plugpy]\nport = 2\nbacklog = 5")
    assert (settings["port"], settings["backlog"]) == (1, 1024)


def test_pyproject_has_a_table_of_options(tmp_path: Path) -> None:
    settings = settle(
        tmp_path, pyproject="[tool.plugpy]\nmax-connections = 7\nmax_body = '1MB'\n[tool.x]\ny=1"
    )
    assert (settings["max_connections"], settings["max_body"]) == (7, 1_000_000)
    assert settings.source("max_body") == "max_body in pyproject.toml"


@pytest.mark.parametrize("text", ["[tool.other]\nport = 1", "[project]\nname = 'plugpy'", ""])
def test_a_pyproject_of_others_changes_nothing(tmp_path: Path, text: str) -> None:
    assert settle(tmp_path, pyproject=text)["port"] == 4000


def test_tables_of_other_commands_are_left_alone(tmp_path: Path) -> None:
    assert settle(tmp_path, toml="port = 1\n[release]\nname = 'x'")["port"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "plugpy.toml: unknown option 'prot'; did you mean 'port'"),
        ("max-conections = 1", "did you mean 'max-connections'"),
        ("port = 'x'", "port in plugpy.toml: 'x' is not a whole number from 0 to 65535"),
        ("port = true", "port in plugpy.toml: true is not INTEGER"),
        ("port = [1]", r"port in plugpy.toml: \[1\] of type list is not INTEGER"),
        ("port = -1", "is not a whole number"),
        ("port = 1.5", "is not a whole number"),
        ("uds-mode = 600", "uds-mode in plugpy.toml: 600 of type int is not MODE"),
        ("reload = 1", None),
        ("reload = 7", "'7' is neither true nor false"),
        ("header-timeout = 'soon'", "write it as 30s, 5m"),
        ("log-format = 'jsn'", "is not one of text, json; did you mean 'json'"),
        ("config = 'x.toml'", "unknown option 'config'"),
        ("app = 3", "write it as app = 'module:attribute'"),
        ("port = ", "plugpy.toml is not valid TOML"),
        ("[tool.plugpy]\nport = 1", "unknown option 'tool'"),
    ],
)
def test_what_toml_may_not_say(tmp_path: Path, text: str, message: str | None) -> None:
    if message is None:
        settle(tmp_path, toml=text)
        return
    with pytest.raises(ConfigurationError, match=message) as caught:
        settle(tmp_path, toml=text)
    assert caught.value.exit_code == 2


def test_toml_values_of_each_kind(tmp_path: Path) -> None:
    settings = settle(
        tmp_path,
        toml="""
        workers = "auto"
        access-log = false
        header-timeout = 3
        write-timeout = 1.5
        max-body = 100
        reload-dir = ["a", "b"]
        reload-exclude = "c,d"
        shutdown-timeout = "infinity"
        uds-mode = "600"
        """,
    )
    assert settings["workers"] == "auto"
    assert settings["access_log"] is False
    assert (settings["header_timeout"], settings["write_timeout"]) == (3.0, 1.5)
    assert settings["reload_dir"] == ("a", "b")
    assert settings["reload_exclude"] == ("c", "d")
    assert settings["shutdown_timeout"] == "infinity"
    assert settings["uds_mode"] == 0o600


def test_another_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("port = 9")
    settings = settle(tmp_path, flags={"config": "other.toml"}, toml="port = 1")
    assert (settings["port"], settings.source("port")) == (9, "port in other.toml")
    with pytest.raises(ConfigurationError, match=r"--config: there is no file 'missing.toml'"):
        settle(tmp_path, flags={"config": "missing.toml"})


# The env-file.


def test_an_env_file_also_feeds_the_environment_of_the_application(tmp_path: Path) -> None:
    settings = settle(
        tmp_path, env_file="SECRET=a\nKNOWN=b\nPLUGPY_PORT=2\n", env={"KNOWN": "already"}
    )
    assert settings.exports == {"SECRET": "a", "PLUGPY_PORT": "2"}


def test_toml_can_name_the_env_file(tmp_path: Path) -> None:
    (tmp_path / "my.env").write_text("PLUGPY_PORT=2\n")
    settings = settle(tmp_path, toml="env-file = 'my.env'\nport = 1")
    assert settings["port"] == 2


def test_a_missing_env_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--env-file: there is no file .*nope.env"):
        settle(tmp_path, flags={"env_file": "nope.env"})


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dotenv", None)
    with pytest.raises(StartError, match=r"pip install 'plugpy\[dotenv\]'") as caught:
        settle(tmp_path, env_file="A=1")
    assert caught.value.exit_code == 3


# Other sentences for users.


def test_a_misspelt_variable_is_warned_of(tmp_path: Path) -> None:
    settings = settle(tmp_path, env={"PLUGPY_PROT": "1", "PLUGPY_RELEASE_COOKIE_OF_MINE": "x"})
    assert len(settings.warnings) == 1
    assert settings.warnings[0].startswith("PLUGPY_PROT is not an option of plugpy; did you mean")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"uds": "a.sock", "fd": "3"}, "--uds and --fd exclude each other"),
        ({"uds": "a.sock", "port": "3"}, "--uds and --port exclude each other"),
        ({"fd": "3", "host": "::"}, "--fd and --host exclude each other"),
        ({"reload": True, "workers": "2"}, "--reload and --workers exclude each other"),
    ],
)
def test_options_that_exclude_each_other(
    tmp_path: Path, flags: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        settle(tmp_path, flags=flags)


def test_the_port_of_a_platform_does_not_forbid_a_unix_socket(tmp_path: Path) -> None:
    assert settle(tmp_path, flags={"uds": "a.sock"}, env={"PORT": "80"})["uds"] == "a.sock"


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    settings = settle(tmp_path, env={"PLUGPY_SECRET_KEY_BASE": "hunter2" * 10})
    assert "hunter2" not in repr(settings)
    assert "secret_key_base=********" in repr(settings)
    assert BY_NAME["secret_key_base"].text(settings["secret_key_base"]) == "********"
    with pytest.raises(ConfigurationError) as caught:
        settle(tmp_path, env={"PLUGPY_SECRET_KEY_BASE": "hunter2\0"})
    assert "hunter2" not in str(caught.value)


# Arguments of Python calls.


def test_arguments_mean_what_flags_mean() -> None:
    settings = from_arguments({"port": 0, "max_body": "1MB", "header_timeout": 2})
    assert (settings["port"], settings["max_body"], settings["header_timeout"]) == (0, 1_000_000, 2)


def test_an_unknown_argument_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="unknown option 'prot'; did you mean 'port'"):
        from_arguments({"prot": 1})


def test_a_bad_argument_is_named() -> None:
    with pytest.raises(ConfigurationError, match="the argument port: 'x' is not"):
        from_arguments({"port": "x"})


def test_settings_survive_the_way_to_a_worker() -> None:
    import json

    settings = from_arguments({"port": 0, "reload_dir": ["a"]}, app="a:b")
    loaded = Settings.load(json.loads(json.dumps(settings.dump())))
    assert loaded.app == "a:b"
    assert loaded.values == settings.values
    assert loaded.sources == settings.sources
