"""The look of the page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]+|(?:rgb|hsl|oklch)a?\([\d\s.,%/]+\)")
_LOGO: Final = re.compile(r"(?:https?://|/(?!/)|data:image/)[^\s\"'<>]+")


@dataclass(frozen=True, slots=True)
class Style:
    """primary: the colour of headings and links; accent: that of the line that raised; logo: an
    image, by its URL or as data:image/...; dark: False for a light page whatever the browser asks
    for."""

    primary: str = "#6b4fbb"
    accent: str = "#c92a2a"
    logo: str | None = None
    dark: bool = True

    def __post_init__(self) -> None:
        for name in ("primary", "accent"):
            value = getattr(self, name)
            if not (isinstance(value, str) and _COLOUR.fullmatch(value)):
                raise ValueError(
                    f"style {name} is a colour of CSS such as '#6b4fbb', got {value!r}"
                )
        if self.logo is not None and not _LOGO.fullmatch(self.logo):
            raise ValueError(f"style logo is the URL of an image, got {self.logo!r}")


def as_style(given: Mapping[str, object] | None) -> Style:
    """The style of an option. Raises ValueError for an unknown name or a wrong value."""
    given = dict(given or {})
    if unknown := given.keys() - Style.__dataclass_fields__.keys():
        raise ValueError(
            f"style has no {', '.join(sorted(unknown))}; it has "
            f"{', '.join(Style.__dataclass_fields__)}"
        )
    return Style(**given)  # type: ignore[arg-type]
