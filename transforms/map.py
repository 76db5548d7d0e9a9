"""Apply a user's function to batches, or to rows, with its exceptions as dead letters.

The function is a callable or the text ``module:function``. Either is made ready once per worker.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa

from transforms import kinds, metrics
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError, TransientError
from transforms.failure import failures
from transforms.fitting import Errors, Row, fit
from transforms.message import MESSAGE, MESSAGE_SCHEMA, attach_message
from transforms.orphan import with_messages

__all__ = [
    "BatchFunction",
    "MapBatches",
    "MapRows",
    "Mapped",
    "RowFunction",
    "map_batch",
    "map_rows",
]

BatchFunction = Callable[[Batch], "Batch | Iterable[Batch]"]
RowFunction = Callable[[Row], "Row | None"]

# What says that the pipeline and not the row is in trouble.
OUTAGES = (TransientError, PermanentError, ConfigError)


def map_batch(batch: Batch, fn: BatchFunction, step: str) -> tuple[list[Batch], Batch | None]:
    """Apply a function to a batch; find the rows that make it fail by halving.

    Cost: for k such rows among n, up to 2 k log2(n) further calls with ever smaller batches.

    Returns:
        What the function gave, in the order of the rows, and the dead letters, if any.

    Raises:
        TransientError, PermanentError, ConfigError: raised by the function, or it did not return
            batches. The text says which messages the batch is of.
    """
    errors: Errors = {}
    made = list(_halve(batch, fn, 0, errors))
    return made, _reject(batch, step, errors)


def map_rows(
    batch: Batch, fn: RowFunction, schema: pa.Schema, step: str
) -> tuple[Batch, Batch | None]:
    """Apply a function to each row, a dictionary of its columns without the message.

    Returns:
        The rows that it returned, each with the message of the row that it was given, and the
        dead letters, if any. Rows for which it returned None are dropped.

    Raises:
        TransientError, PermanentError, ConfigError: raised by the function. The text says which
            message the row is of.
    """
    errors: Errors = {}
    made: list[Row] = []
    origin: list[int] = []
    for index, row in enumerate(batch.drop([MESSAGE]).to_pylist()):
        try:
            result = _call(fn, row, index, errors)
        except OUTAGES as error:
            _name_place(error, batch.slice(index, 1))
            raise
        if result is not None:
            made.append(result)
            origin.append(index)
    fitting, misfits = fit(made, schema)
    errors |= {origin[position]: error for position, error in misfits.items()}
    kept = [index for position, index in enumerate(origin) if position not in misfits]
    source = batch.take(pa.array(kept, pa.int64()))
    return _keep_messages(fitting, source), _reject(batch, step, errors)


def _halve(batch: Batch, fn: BatchFunction, first: int, errors: Errors) -> Iterator[Batch]:
    try:
        made = _batches(fn, batch)
    except OUTAGES as error:
        _name_place(error, batch)
        raise
    except Exception as error:  # noqa: BLE001 - the function is the user's
        half = len(batch) // 2
        if len(batch) == 1:
            errors[first] = _reason(error)
        if half:
            yield from _halve(batch.slice(0, half), fn, first, errors)
            yield from _halve(batch.slice(half), fn, first + half, errors)
    else:
        yield from made


def _batches(fn: BatchFunction, batch: Batch) -> list[Batch]:
    made = fn(batch)
    if isinstance(made, Batch):
        return [made]
    batches = list(made) if isinstance(made, Iterable) else [made]
    for result in batches:
        if not isinstance(result, Batch):
            raise PermanentError(f"{fn!r} must return a Batch or a list of them, not {result!r}")
    return batches


def _call(fn: RowFunction, row: Row, index: int, errors: Errors) -> Row | None:
    try:
        result = fn(row)
    except OUTAGES:
        raise
    except Exception as error:  # noqa: BLE001 - the function is the user's
        errors[index] = _reason(error)
        return None
    if result is not None and not isinstance(result, dict):
        reason = f"The function returned {type(result).__name__}, not a dictionary or None"
        errors[index] = (kinds.WRONG_TYPE, reason)
        return None
    return result


def _name_place(error: Exception, rows: Batch) -> None:
    """Let an error that stops the pipeline say for which rows it was raised."""
    if not isinstance(error, ConfigError):  # which says what it has to say by its fields
        first, *others = error.args or ("",)
        error.args = (f"{first} (at {rows!r})", *others)


def _reason(error: Exception) -> tuple[str, str]:
    return kinds.FUNCTION_FAILED, f"{type(error).__name__}: {error}"


def _keep_messages(made: Batch, source: Batch) -> Batch:
    """Put beside the rows the messages of their source, if it has or is messages."""
    if MESSAGE in source.schema.names:
        return made.with_column(MESSAGE, source.column(MESSAGE))
    if set(MESSAGE_SCHEMA.names) <= set(source.schema.names):
        return attach_message(made.rows, source)
    return made


def _reject(batch: Batch, step: str, errors: Errors) -> Batch | None:
    if not errors:
        return None
    bad = sorted(errors)
    rejected = batch.take(pa.array(bad, pa.int64()))
    return failures(with_messages(rejected), step, [errors[index] for index in bad])


class Mapped(NamedTuple):
    """What a mapping gives: what the function returned, and the rows for which it failed."""

    ok: beam.PCollection[Batch]
    dead: beam.PCollection[Batch]


class MapBatches(beam.PTransform):
    """Apply a function to whole batches: the way to use Arrow kernels of one's own.

    If it raises an exception, the batch is halved until only the rows that make it fail are left;
    they go to dead. So it may be called again with parts of a batch: it must have no effect but
    its result, and each row's result must not depend on the other rows.

    Guarantees: a row is in dead, or was part of a call that succeeded, and never both.
    """

    def __init__(self, fn: BatchFunction | str, step: str = "MapBatches") -> None:
        """Name the function.

        Args:
            fn: takes a Batch, returns a Batch or a list of them; or ``module:function``.
            step: the name of this step in dead letters.

        Raises:
            ConfigError: there is no such function.
        """
        super().__init__()
        resolve(fn)
        self._fn = fn
        self._step = step

    def expand(self, batches: beam.PCollection[Batch]) -> Mapped:
        """Wire the function."""
        return _wire(batches, _MapBatches(self._fn, self._step))


class MapRows(beam.PTransform):
    """Apply a function to each row as a dictionary, at microseconds a row.

    Guarantees: a row is in ok with its message, or in dead, or was dropped by None; in order.
    """

    def __init__(self, fn: RowFunction | str, schema: pa.Schema, step: str = "MapRows") -> None:
        """Name the function and the columns of its result.

        Args:
            fn: takes a dictionary, returns one, or None to drop the row; or ``module:function``.
            schema: of the dictionaries that it returns; the message is kept beside them.
            step: the name of this step in dead letters.

        Raises:
            ConfigError: there is no such function, or the schema has the reserved column.
        """
        super().__init__()
        resolve(fn)
        if MESSAGE in schema.names:
            raise ConfigError(
                f"schema.{MESSAGE}", MESSAGE, "is reserved for the message that a row came from",
                "Leave the column out; the message is kept",
            )  # fmt: skip
        self._fn = fn
        self._schema = schema
        self._step = step

    def expand(self, batches: beam.PCollection[Batch]) -> Mapped:
        """Wire the function."""
        return _wire(batches, _MapRows(self._fn, self._schema, self._step))


def resolve(fn: Callable[..., Any] | str) -> Callable[..., Any]:
    """Return the function itself, or the one that ``module:function`` names.

    Raises:
        ConfigError: the text has another form, or names nothing that can be called.
    """
    if not isinstance(fn, str):
        return fn
    module, _, name = fn.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            "fn", fn, f"names no function ({error})", "Write module:function, importable by Python"
        ) from error
    if not callable(found):
        raise ConfigError("fn", fn, "can't be called", "Name a function")
    return found


def _wire(batches: beam.PCollection[Batch], fn: beam.DoFn) -> Mapped:
    typed = beam.ParDo(fn).with_output_types(Batch, dead=Batch)
    outputs = batches | typed.with_outputs("dead", main="ok")
    return Mapped(outputs.ok, outputs.dead)


def _outputs(
    made: Iterable[Batch], dead: Batch | None
) -> Iterator[Batch | beam.pvalue.TaggedOutput]:
    yield from (batch for batch in made if len(batch))
    if dead is not None:
        metrics.DEAD_LETTERS.inc(len(dead))
        yield beam.pvalue.TaggedOutput("dead", dead)


class _MapBatches(beam.DoFn):
    def __init__(self, fn: BatchFunction | str, step: str) -> None:
        self._fn = fn
        self._step = step

    def setup(self) -> None:
        self._ready = resolve(self._fn)

    def process(self, batch: Batch) -> Iterator[Batch | beam.pvalue.TaggedOutput]:
        made, dead = map_batch(batch, self._ready, self._step)
        return _outputs(made, dead)


class _MapRows(beam.DoFn):
    def __init__(self, fn: RowFunction | str, schema: pa.Schema, step: str) -> None:
        self._fn = fn
        self._schema = schema
        self._step = step

    def setup(self) -> None:
        self._ready = resolve(self._fn)

    def process(self, batch: Batch) -> Iterator[Batch | beam.pvalue.TaggedOutput]:
        made, dead = map_rows(batch, self._ready, self._schema, self._step)
        return _outputs([made], dead)
