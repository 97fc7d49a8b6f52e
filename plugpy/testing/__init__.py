"""The test kit: run plugs without a server (Plug.Test).

Lives here: `conn`, which builds a Conn with an adapter that records what is sent.
"""

from plugpy.testing.adapter import TestAdapter, conn

__all__ = ["TestAdapter", "conn"]
