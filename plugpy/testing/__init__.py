"""The test kit: run plugs without a server (Plug.Test).

Lives here: `conn`, which builds a Conn with an adapter that records what is sent, and `call`, which
runs any plug on it to its end.
"""

from plugpy.testing.adapter import TestAdapter, conn
from plugpy.testing.calling import call

__all__ = ["TestAdapter", "call", "conn"]
