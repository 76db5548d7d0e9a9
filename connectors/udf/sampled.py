"""What a function makes of a few messages, for those who only look."""

from __future__ import annotations

import pyarrow as pa

from connectors.udf.step import opened
from transforms.batch import Batch
from transforms.parse import Decoder
from transforms.udf import Form, Plan, Source

__all__ = ["Sampled"]


class Sampled:
    """Makes rows of messages as the parser and the function do, and counts nothing.

    A reader asks it for the event time of a few messages of each delivery, where the function makes
    that time; so the function is called for these more than once. Messages that fail, or are
    dropped or routed, have no row. A function that is loaded anew is not noticed.

    Args:
        source: of the function.
        plan: of its step.
        schema: that payloads are parsed to; None if they are not.
        timeout_s: seconds that a call may take.
    """

    def __init__(
        self, source: Source, plan: Plan, schema: pa.Schema | None, timeout_s: float
    ) -> None:
        function = opened(source, plan, timeout_s)
        decoder = None if schema is None else Decoder(schema)

        def made(batch: Batch) -> Batch:
            found = function.apply(batch).ok
            return Batch.concat(found) if found else batch.slice(0, 0)

        def parsed(batch: Batch) -> Batch:
            return batch if decoder is None or not len(batch) else decoder.decode(batch)[0]

        self._steps = (made, parsed) if source.form is Form.TEXT else (parsed, made)

    def __call__(self, messages: Batch) -> Batch:
        """Return the rows, in the order of their messages; the columns are not known if none."""
        first, second = self._steps
        return second(first(messages))
