"""Parsers: the request body as `conn.body_params`, by its content-type (Plug.Parsers).

Lives here: the plug, and one file for each kind of body: `UrlEncoded`, `Json`, `Multipart`. A
parser of your own has their two methods, see `Parser`.
"""

from plugpy.plugs.parsers.errors import ParseError
from plugpy.plugs.parsers.json import Json
from plugpy.plugs.parsers.multipart import Multipart
from plugpy.plugs.parsers.parser import BodyReader, Parser
from plugpy.plugs.parsers.parsers import Parsers
from plugpy.plugs.parsers.urlencoded import UrlEncoded

__all__ = ["BodyReader", "Json", "Multipart", "ParseError", "Parser", "Parsers", "UrlEncoded"]
