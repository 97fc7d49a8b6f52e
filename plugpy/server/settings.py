"""Settings: the value of every option, and where it came from.

A flag wins over an environment variable, that over the env-file, that over TOML, and that over
the default.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from plugpy.server.errors import ConfigurationError, StartError, did_you_mean
from plugpy.server.kinds import convert_all
from plugpy.server.options import BY_NAME, ON_COMMAND_LINE_ONLY, OPTIONS, Option

EXCLUSIVE: Final = (
    ("uds", "fd"),
    ("uds", "port"),
    ("fd", "port"),
    ("fd", "host"),
    ("listen", "host"),
    ("listen", "port"),
    ("listen", "uds"),
    ("listen", "fd"),
)
"""Options that say where to listen, in different words."""

SUBTABLES: Final = frozenset({"release"})
"""Tables under `[tool.plugpy]` that belong to other commands."""

VARIABLES: Final = frozenset(
    name for option in OPTIONS for name in (option.variable, *option.variables)
) | {"PLUGPY_APP"}


@dataclass(slots=True)
class Settings:
    """`settings["port"]` is the value of the option `port`; `source("port")` says whence it came.

    `app` is the import string, or None when the application was passed as an object.
    `exports` are the variables of the env-file that the environment does not have yet.
    `warnings` are sentences for the user.
    """

    app: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def source(self, name: str) -> str:
        """Where the value of `name` comes from: `--port`, `PLUGPY_PORT`, `default`, ..."""
        return self.sources.get(name, "default")

    def is_default(self, name: str) -> bool:
        """Nobody set `name`."""
        return name not in self.sources

    def needs_master(self) -> bool:
        """Whether workers serve under a master: several of them, or one that is to be replaced."""
        return bool(
            self["workers"] != 1 or self["reload"] or self["max_requests"] or self["max_rss"]
        )

    def part(self, part: str) -> dict[str, Any]:
        """The values of the options of one `part`, by name."""
        return {option.name: self.values[option.name] for option in OPTIONS if option.part == part}

    def dump(self) -> dict[str, Any]:
        """Everything as plain JSON values, for another process. It holds the secrets."""
        return {"app": self.app, "values": self.values, "sources": self.sources}

    @classmethod
    def load(cls, dumped: dict[str, Any]) -> "Settings":
        """What `dump` was made of."""
        values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in dumped["values"].items()
        }
        return cls(dumped["app"], values, dumped["sources"])

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{option.name}={option.text(self.values[option.name])}"
            for option in OPTIONS
            if option.name in self.sources
        )
        return f"<Settings app={self.app!r} {shown}>"


def from_arguments(arguments: Mapping[str, Any], app: str | None = None) -> Settings:
    """Settings of Python arguments over the defaults, nothing else is looked at.

    Raises ConfigurationError that names the argument.
    """
    settings = _defaults(app)
    for name, value in arguments.items():
        option = BY_NAME.get(name)
        if option is None:
            raise ConfigurationError(f"unknown option {name!r}{did_you_mean(name, BY_NAME)}")
        _put(settings, option, value, f"the argument {name}")
    check(settings)
    return settings


def resolve(
    app: str | None,
    flags: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    directory: str | Path = ".",
) -> Settings:
    """Settings of the command line: `flags` by option name, then the other sources.

    `directory` is where plugpy.toml, pyproject.toml and a relative env-file are looked for.
    Raises ConfigurationError (exit code 2) for what can't be understood and StartError (3) when
    an extra is missing.
    """
    environment = os.environ if environment is None else environment
    settings = _defaults(app)
    for name, value in flags.items():
        _put(settings, BY_NAME[name], value, BY_NAME[name].flag)
    _put_variables(settings, environment, "")
    table, place = _read_toml(settings, Path(directory))
    # The env-file is stronger than TOML, but TOML may be what names it.
    if (named := table.get("env-file", table.get("env_file"))) is not None:
        _put(settings, BY_NAME["env_file"], named, f"env-file in {place}")
    if settings["env_file"] is not None:
        _put_env_file(settings, environment, Path(directory))
    _put_toml(settings, table, place)
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Raise ConfigurationError for options that exclude each other."""
    for one, other in EXCLUSIVE:
        if not settings.is_default(one) and not settings.is_default(other):
            by_flag = settings.source(other) == BY_NAME[other].flag
            # PORT is set by hosting platforms for every program: only `uds`/`fd` beside it count.
            if other in ("port", "host") and not by_flag:
                continue
            raise ConfigurationError(
                f"{settings.source(one)} and {settings.source(other)} exclude each other: "
                "a server listens on one place, and with listen on those alone"
            )
    if not settings["handshake_timeout"]:
        raise ConfigurationError(
            f"{settings.source('handshake_timeout')}: a handshake without end holds a place among "
            "max-connections for ever; give it a time above 0s"
        )
    if settings["reload"] and settings["workers"] != 1:
        raise ConfigurationError(
            f"{settings.source('reload')} and {settings.source('workers')} exclude each other: "
            "reloading restarts a single worker"
        )


def _defaults(app: str | None) -> Settings:
    return Settings(app, {option.name: option.default for option in OPTIONS})


def _put(settings: Settings, option: Option, value: Any, source: str) -> None:
    """Give `option` its value unless a stronger source did."""
    if option.name in settings.sources or value is None:
        return
    try:
        converted = (
            tuple(convert_all(option.kind, value))
            if option.multiple
            else option.kind.convert(value)
        )
    except ValueError as error:
        reason = str(error)
        if option.secret:
            reason = "the value can't be read"
        raise ConfigurationError(f"{source}: {reason}") from None
    settings.values[option.name] = converted
    settings.sources[option.name] = source


def _put_variables(settings: Settings, environment: Mapping[str, str], place: str) -> None:
    if settings.app is None:
        settings.app = environment.get("PLUGPY_APP") or None
    for option in OPTIONS:
        for variable in (option.variable, *option.variables):
            # An empty variable is as good as unset: that is how shells and compose files unset.
            if value := environment.get(variable):
                _put(settings, option, value, variable + place)
                break
    for variable in environment:
        if variable.startswith("PLUGPY_") and variable not in VARIABLES:
            # Without the prefix that all of them share, which would make any two look alike.
            names = [name[7:] for name in VARIABLES if name.startswith("PLUGPY_")]
            if hint := did_you_mean(variable.removeprefix("PLUGPY_"), names):
                hint = hint.replace("mean '", "mean 'PLUGPY_").replace("or '", "or 'PLUGPY_")
                settings.warnings.append(f"{variable}{place} is not an option of plugpy{hint}")


def _put_env_file(settings: Settings, environment: Mapping[str, str], directory: Path) -> None:
    path = directory / settings["env_file"]
    source = settings.source("env_file")
    try:
        from dotenv import dotenv_values
    except ModuleNotFoundError:
        raise StartError(
            f"{source}: reading an env-file needs python-dotenv; pip install 'plugpy[dotenv]'"
        ) from None
    if not path.is_file():
        raise ConfigurationError(f"{source}: there is no file {str(path)!r}")
    try:
        found = dotenv_values(path)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{source}: {str(path)!r} is not a text in UTF-8") from None
    settings.exports = {
        name: value
        for name, value in found.items()
        if value is not None and name not in environment
    }
    _put_variables(settings, settings.exports, f" in {path.name}")


def _put_toml(settings: Settings, table: dict[str, Any], place: str) -> None:
    names = {option.key: option for option in OPTIONS if option.name not in ON_COMMAND_LINE_ONLY}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name == "app":
            if not isinstance(value, str):
                raise ConfigurationError(f"app in {place}: write it as app = 'module:attribute'")
            settings.app = settings.app or value
        elif name in names:
            _put(settings, names[name], value, f"{key} in {place}")
        elif not (isinstance(value, dict) and name in SUBTABLES):
            raise ConfigurationError(
                f"{place}: unknown option {key!r}{did_you_mean(name, [*names, 'app'])}"
            )


def _read_toml(settings: Settings, directory: Path) -> tuple[dict[str, Any], str]:
    """The table of options and the name of the file that it is in; empty when there is none."""
    chosen = settings["config"]
    if chosen is not None:
        path = directory / chosen
        if not path.is_file():
            raise ConfigurationError(f"{settings.source('config')}: there is no file {chosen!r}")
    else:
        path = directory / "plugpy.toml"
        if not path.is_file():
            path = directory / "pyproject.toml"
            if not path.is_file():
                return {}, ""
    text = path.read_bytes()
    in_pyproject = path.name == "pyproject.toml"
    # Parsing TOML in Python takes tens of milliseconds; most pyproject files need not be parsed.
    if in_pyproject and b"plugpy" not in text:
        return {}, ""
    import tomllib

    try:
        table: Any = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name} is not valid TOML: {error}") from None
    if in_pyproject:
        tool = table.get("tool")
        table = tool.get("plugpy", {}) if isinstance(tool, dict) else {}
        if not isinstance(table, dict):
            raise ConfigurationError("tool.plugpy in pyproject.toml is not a table")
    return table, path.name
