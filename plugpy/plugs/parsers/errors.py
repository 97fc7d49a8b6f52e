"""What goes wrong with a body."""

from plugpy.conn import BadRequestError


class ParseError(BadRequestError):
    """The body is not what its content-type says (Plug.Parsers.ParseError); a 400."""
