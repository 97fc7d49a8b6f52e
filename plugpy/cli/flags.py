"""The table of options as flags of a click command, and its help in groups."""

from collections.abc import Iterable
from typing import Any

import click

from plugpy.server.errors import did_you_mean
from plugpy.server.options import GROUPS, OPTIONS, Option


class OptionFlag(click.Option):
    """One row of the table. Its value is None when the flag was not given: other sources follow."""

    def __init__(self, option: Option) -> None:
        names = [option.name, option.flag]
        if option.short:
            names.append(option.short)
        kind: dict[str, Any]
        if option.kind.flag:
            names[1] = f"{option.flag}/--no-{option.key}"
            kind = {"is_flag": True}
        else:
            kind = {"type": KindType(option), "metavar": option.kind.metavar}
            if option.multiple:
                kind["multiple"] = True
        super().__init__(names, default=None, help=option.help, **kind)
        self.option = option

    def get_help_record(self, context: click.Context) -> tuple[str, str]:
        """The flag, and its help with default and variables."""
        option = self.option
        left = f"{option.short}, {option.flag}" if option.short else option.flag
        if option.kind.flag:
            if option.default is True:
                left = f"{option.flag}/--no-{option.key}"
        else:
            left = f"{left} {option.kind.metavar}"
        return left, f"{option.help}  {describe(option)}"


class KindType(click.ParamType[Any]):
    """Reads a value by the kind of its option."""

    def __init__(self, option: Option) -> None:
        self.name = option.name
        self.option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """`value` as it is: the settings convert it. What can't be read is a usage error here."""
        try:
            self.option.kind.convert(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


def describe(option: Option) -> str:
    """`[PLUGPY_PORT, PORT; default: 4000]`."""
    variables = ", ".join((option.variable, *option.variables))
    default = option.text(option.default)
    return f"[{variables}; default: {default}]" if default else f"[{variables}]"


class GroupedCommand(click.Command):
    """A command whose help shows its options under the headings of the table."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Each group of the table, then the options of the command itself."""
        flags = [param for param in self.get_params(context) if isinstance(param, OptionFlag)]
        for group, heading in GROUPS.items():
            records = [
                flag.get_help_record(context) for flag in flags if flag.option.group == group
            ]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records, col_max=28)
        own = [
            record
            for param in self.get_params(context)
            if isinstance(param, click.Option)
            and not isinstance(param, OptionFlag)
            and (record := param.get_help_record(context)) is not None
        ]
        with formatter.section("Other options"):
            formatter.write_dl(own, col_max=28)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """As click's, with "did you mean" from our table for an unknown flag."""
        try:
            return super().make_context(*args, **extra)
        except click.NoSuchOption as error:
            names = [name for param in self.params for name in (*param.opts, *param.secondary_opts)]
            hint = did_you_mean(error.option_name, names)
            raise click.UsageError(
                f"there is no option {error.option_name}{hint}", error.ctx
            ) from None


def option_flags(names: Iterable[str] | None = None) -> list[click.Parameter]:
    """Flags for the options of the table, or those in `names`; secrets have none."""
    wanted = None if names is None else set(names)
    return [
        OptionFlag(option)
        for option in OPTIONS
        if not option.secret and (wanted is None or option.name in wanted)
    ]


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Of click's `values` those that were given on the command line."""
    return {name: value for name, value in values.items() if value is not None and value != ()}
