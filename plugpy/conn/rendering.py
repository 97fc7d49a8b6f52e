"""What `conn.render` asks: any template language can be it.

private["plugpy_templates"]  a Renderer, put there by the plug Templates
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from plugpy.conn.errors import UnfetchedError
from plugpy.conn.fields import ConnFields

RENDERER: Final = "plugpy_templates"
"""Where `private` keeps the renderer."""


class Renderer(Protocol):
    """Makes text of a template."""

    def render(self, conn: Any, template: str, assigns: Mapping[str, Any]) -> tuple[str, str]:
        """The content-type and the text of a template, given its name and variables."""


def renderer_of(conn: ConnFields, template: str) -> Renderer:
    """The renderer of a conn. Raises UnfetchedError where no plug has provided one."""
    renderer: Renderer | None = conn.private.get(RENDERER)
    if renderer is None:
        raise UnfetchedError(
            f"there are no templates to render {template!r}: put "
            'plug(Templates, folder="templates") before this plug'
        )
    return renderer
