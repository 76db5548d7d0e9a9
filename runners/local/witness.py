"""Which element a step was given when it raised an exception, in a few words."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Any, NamedTuple

import apache_beam as beam

from runners.local.internals import beam_fn_api_pb2

__all__ = ["Call", "Witness", "call_of", "remembered", "summary"]

SUMMARY_MAX = 300
"""Characters of a summary. It stands in logs and errors, where a megabyte helps nobody."""

BYTES_MAX = 200
"""Bytes of a byte string that are looked at."""

_MEMORY = "_element_summary"
_METHODS_WITHOUT_ELEMENT = ("setup", "start_bundle", "finish_bundle", "teardown")


class Witness:
    """Takes the place of Beam's data sampler, and remembers the element that made a step raise.

    Beam calls ``sample_exception`` with the element as the step was given it. Nothing else is
    sampled; the cost is one attribute for each element and output. The memory is kept by the
    exception itself: there may be several at a time, in different threads.
    """

    element_sampler = None

    def initialize_samplers(self, transform_id: str, descriptor: Any, coder_factory: Any) -> None:
        """Do nothing: no output has a sampler of its own."""

    def sampler_for_output(self, transform_id: str, output_index: int) -> Witness:  # noqa: ARG002
        """Return the sampler of an output, this one."""
        return self

    def sample_exception(
        self,
        el: Any,
        exc_info: Any,
        transform_id: str,  # noqa: ARG002 - Beam's signature
        instruction_id: str | None,  # noqa: ARG002
    ) -> None:
        """Note the element, a windowed value, with the exception that it caused."""
        error = exc_info[1]
        if el is not None and remembered(error) is None:
            try:
                setattr(error, _MEMORY, summary(el.value))
            except (AttributeError, TypeError):  # an exception without room for attributes
                return

    def samples(self, pcollection_ids: Any = None) -> beam_fn_api_pb2.SampleDataResponse:  # noqa: ARG002
        """Return no samples."""
        return beam_fn_api_pb2.SampleDataResponse()

    def stop(self) -> None:
        """Do nothing: no thread takes samples."""


def remembered(error: BaseException) -> str | None:
    """Return the summary of the element that a witness has noted, if any."""
    return getattr(error, _MEMORY, None)


class Call(NamedTuple):
    """A call from Beam into code of the pipeline.

    Attributes:
        function: its name, with the class of a method.
        element: summary of what it was given, or None.
        of_combiner: it was made by one of Beam's combining operations, not for a DoFn.
    """

    function: str
    element: str | None
    of_combiner: bool


def call_of(traceback: TracebackType | None) -> Call | None:
    """Return the last call that Beam has made in a traceback, if any.

    Compiled frames of Beam have a file and a name, and no variables.
    """
    call: tuple[FrameType, bool] | None = None
    caller = ""
    while traceback is not None:
        frame = traceback.tb_frame
        file = frame.f_code.co_filename.replace("\\", "/")
        if "apache_beam/runners/" not in file and caller.endswith(_CALLERS):
            call = frame, caller.endswith(_COMBINING)
        caller = file
        traceback = traceback.tb_next
    if call is None:
        return None
    frame, of_combiner = call
    return Call(_function(frame), _element(frame), of_combiner)


_COMBINING = "apache_beam/runners/worker/operations.py"
_CALLERS = ("apache_beam/runners/common.py", _COMBINING)


def _function(frame: FrameType) -> str:
    names = _positional(frame.f_code)
    owner = frame.f_locals.get(names[0]) if names and names[0] == "self" else None
    name = frame.f_code.co_name
    return name if owner is None else f"{type(owner).__name__}.{name}"


def _element(frame: FrameType) -> str | None:
    """Summarise the argument that is the element, or all arguments where none of them is."""
    name = frame.f_code.co_name
    owner, arguments = _arguments(frame)
    if isinstance(owner, beam.DoFn) and name in _METHODS_WITHOUT_ELEMENT:
        return None
    if isinstance(owner, beam.CombineFn) and name == "add_input":
        arguments = dict(list(arguments.items())[1:])  # the accumulator comes first
    if isinstance(owner, beam.DoFn) and not name.startswith("process"):  # the callback of a timer
        return _listed(arguments)
    return next(map(summary, arguments.values()), None)


def _arguments(frame: FrameType) -> tuple[Any, dict[str, Any]]:
    """Return the owner of a method, or None, and the positional arguments by name."""
    code, values = frame.f_code, frame.f_locals
    found = {name: values[name] for name in _positional(code) if name in values}
    if code.co_flags & inspect.CO_VARARGS:
        name = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
        found |= {f"{name}[{index}]": each for index, each in enumerate(values.get(name, ()))}
    first = next(iter(found), None)
    if first is not None and (first == "self" or isinstance(found[first], _OWNERS)):
        return found.pop(first), found
    return None, found


_OWNERS = (beam.DoFn, beam.CombineFn)


def _positional(code: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount]
    return names


def _listed(arguments: Mapping[str, Any]) -> str | None:
    # Handles of state and timers say nothing but their addresses.
    told = {name: each for name, each in arguments.items() if not _is_handle(each)}
    texts = [f"{name}={summary(value)}" for name, value in told.items()]
    return _cut(", ".join(texts)) if texts else None


def _is_handle(value: Any) -> bool:
    return type(value).__module__.startswith("apache_beam.runners.")


class _Summary(reprlib.Repr):
    """``repr`` with a bound on its work as well: of a large value only a part is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = SUMMARY_MAX
        self.maxlong = 80
        self.maxlevel = 5
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = 8

    def repr_bytes(self, value: bytes, level: int) -> str:  # noqa: ARG002 - called by type
        """Look at the first bytes only."""
        if len(value) <= BYTES_MAX:
            return repr(value)
        return f"{value[:BYTES_MAX]!r}... ({len(value)} bytes)"


_summaries = _Summary()


def summary(value: Any) -> str:
    """Return a value's ``repr``, cut to ``SUMMARY_MAX`` characters. It never raises."""
    try:
        text = _summaries.repr(value)
    except Exception as error:  # noqa: BLE001 - a container of the user's own may do anything
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= SUMMARY_MAX else f"{text[: SUMMARY_MAX - 3]}..."
