"""Typed handlers: parameters from annotations, checked answers, and an OpenAPI document of them.

Lives here: `typed` and the markers (Query, Header, ...), the errors, the bridges to msgspec and
pydantic, the OpenAPI document and its page. The router asks for it when a handler is typed; nothing
else of plugpy imports it. Needs `plugpy[api]` (msgspec), or pydantic.
"""

from plugpy.api.document import openapi
from plugpy.api.errors import Fault, Problem, ResponseTypeError, ValidationError
from plugpy.api.handler import TypedHandler, is_typed
from plugpy.api.options import typed
from plugpy.api.places import Body, Cookie, Form, Header, Path, Place, Query
from plugpy.api.plug import OpenAPI

__all__ = [
    "Body",
    "Cookie",
    "Fault",
    "Form",
    "Header",
    "OpenAPI",
    "Path",
    "Place",
    "Problem",
    "Query",
    "ResponseTypeError",
    "TypedHandler",
    "ValidationError",
    "is_typed",
    "openapi",
    "typed",
]
