"""`--print-config`: the settings as TOML that can be saved, each with where it came from."""

import json
from typing import Any

from plugpy.server.options import GROUPS, ON_COMMAND_LINE_ONLY, OPTIONS, Option
from plugpy.server.settings import Settings


def format_settings(settings: Settings) -> str:
    """Lines of TOML with the source of each value as a comment; unset options are comments."""
    lines = []
    if settings.app is not None:
        lines.append(f"app = {json.dumps(settings.app)}")
    for group, heading in GROUPS.items():
        lines += ["", f"# {heading}"]
        for option in OPTIONS:
            if option.group == group:
                text = _assignment(option, settings[option.name])
                lines.append(f"{text:<40} # {settings.source(option.name)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def _assignment(option: Option, value: Any) -> str:
    if value is None:
        return f"# {option.key} ="
    if option.multiple:
        text = "[" + ", ".join(json.dumps(option.kind.text(part)) for part in value) + "]"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int) and option.kind.text(value).isdigit():
        # A file mode is digits as well, but octal ones: it must stay a text.
        text = str(value) if str(value) == option.text(value) else json.dumps(option.text(value))
    else:
        text = json.dumps(option.text(value))
    # A masked secret, or a key that no TOML file may have, must not be taken for a setting.
    prefix = "# " if option.secret or option.name in ON_COMMAND_LINE_ONLY else ""
    return f"{prefix}{option.key} = {text}"
