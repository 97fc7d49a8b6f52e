"""Built-in plugs, one file each.

Lives here: Head and RequestId. Each is a class that takes its options as keywords once, and whose
instance is the plug.
"""

from plugpy.plugs.head import Head
from plugpy.plugs.request_id import RequestId, current_request_id

__all__ = ["Head", "RequestId", "current_request_id"]
