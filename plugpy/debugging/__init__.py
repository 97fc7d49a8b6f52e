"""What developers are shown of a failure: exceptions, frames, source, the request.

Lives here: the report of a failure with its secrets hidden, its three formats, and the answer that
sends it. The plug Debugger and the server's `debug` both call `answer_with_report`. May be touched:
what is exported below. Nothing in here is imported until something fails while developing.
"""

from plugpy.debugging.actions import Action
from plugpy.debugging.answering import Appearance, answer_with_report
from plugpy.debugging.redaction import Redaction
from plugpy.debugging.report import Report, report

__all__ = ["Action", "Appearance", "Redaction", "Report", "answer_with_report", "report"]
