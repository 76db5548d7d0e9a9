"""User functions: compiled from source text, called for rows, batches or payloads.

Pure: the file is read, the clock is looked at and the step of Beam is made in ``connectors/udf``.
"""

from transforms.udf.batches import BatchFunction
from transforms.udf.compiled import Compiled
from transforms.udf.limit import Overrun, Unlimited, Watch
from transforms.udf.results import Function, Plan, Result
from transforms.udf.rows import RowFunction
from transforms.udf.source import Form, Language, Source
from transforms.udf.texts import TextFunction

__all__ = [
    "BatchFunction", "Compiled", "Form", "Function", "Language", "Overrun", "Plan", "Result",
    "RowFunction", "Source", "TextFunction", "Unlimited", "Watch",
]  # fmt: skip
