"""JSON for responses: orjson where it is installed (`plugpy[json]`), else the standard library."""

import json
from collections.abc import Callable
from typing import Any

dumps: Callable[[Any], bytes]
"""Encode to UTF-8 bytes, compact. Raises TypeError for what JSON can't hold, NaN included."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _standard_dumps(data: Any) -> bytes:
    return _encode(data).encode()


try:
    import orjson
except ImportError:
    dumps = _standard_dumps
else:
    dumps = orjson.dumps
