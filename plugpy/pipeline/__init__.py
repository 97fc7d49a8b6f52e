"""Pipelines: plugs in a row, compiled into one function (Plug.Builder).

Lives here: what a plug is, how a row of plugs becomes one call, the class-body declarations that
`Pipeline` and `Router` share, and `blocking` for code that may not run in the event loop.
May be touched: everything exported below. A plug is any callable `conn -> conn`, sync or async;
no base class is needed.
"""

from plugpy.conn.errors import PlugError
from plugpy.pipeline.compiler import Application, Plug, compile_pipeline, run
from plugpy.pipeline.parts import parts_of
from plugpy.pipeline.pipeline import Pipeline, compiled
from plugpy.pipeline.steps import Step, plug, wrap
from plugpy.pipeline.threads import blocking

__all__ = [
    "Application",
    "Pipeline",
    "Plug",
    "PlugError",
    "Step",
    "blocking",
    "compile_pipeline",
    "compiled",
    "parts_of",
    "plug",
    "run",
    "wrap",
]
