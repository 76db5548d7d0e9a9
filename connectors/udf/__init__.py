"""User functions: ``FILE:FUNCTION`` of Python or JavaScript, applied to rows, batches or payloads.

from connectors import udf

applied = rows | udf.UserFunction(udf.load("./clean.py:clean"), schema=schema)
applied.ok, applied.dead, applied.outputs["late"]
"""

from connectors.udf.files import load
from connectors.udf.sampled import Sampled
from connectors.udf.step import Applied, UserFunction, opened
from transforms.udf import Form, Plan, Result, Source

__all__ = [
    "Applied", "Form", "Plan", "Result", "Sampled", "Source", "UserFunction", "load", "opened",
]  # fmt: skip
