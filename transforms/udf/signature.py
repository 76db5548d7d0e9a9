"""The form of a user's function, told by the annotation of its first parameter."""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

from transforms.udf.source import Form

__all__ = ["Signature", "SignatureError", "signature_of"]

_FORMS: dict[Any, tuple[Form, bool]] = {
    inspect.Parameter.empty: (Form.ROW, False),
    typing.Any: (Form.ROW, False),
    dict: (Form.ROW, False),
    collections.abc.Mapping: (Form.ROW, False),
    collections.abc.MutableMapping: (Form.ROW, False),
    pa.RecordBatch: (Form.BATCH, False),
    str: (Form.TEXT, False),
    bytes: (Form.TEXT, True),
}
_BY_NAME = {
    "Any": typing.Any, "dict": dict, "Dict": dict, "Mapping": collections.abc.Mapping,
    "MutableMapping": collections.abc.MutableMapping, "RecordBatch": pa.RecordBatch,
    "str": str, "bytes": bytes,
}  # fmt: skip
_FIX = (
    "Annotate the first parameter with dict for a row, pyarrow.RecordBatch for a batch, str or"
    " bytes for the payload"
)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Signature(NamedTuple):
    """How a function is to be called."""

    form: Form
    takes_bytes: bool = False
    """In text form, whether the payload is given as bytes and not as text."""
    takes_message: bool = False
    """Whether a second argument, the message, is given."""


class SignatureError(Exception):
    """A function can't be used: the rule that it breaks, and the fix."""

    def __init__(self, rule: str, fix: str) -> None:
        super().__init__(rule, fix)
        self.rule, self.fix = rule, fix


def signature_of(fn: Any) -> Signature:
    """Return how a function is to be called.

    Parameters that have a default keep it: only a second one without gets the message.

    Raises:
        SignatureError: it is no plain function, has too few or too many parameters, or its first
            one is annotated with something else.
    """
    _refuse_others(fn)
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):  # some of C have none
        return Signature(Form.ROW)
    first = next(iter(parameters), None)
    if first is None or first.kind not in (*_POSITIONAL, inspect.Parameter.VAR_POSITIONAL):
        raise SignatureError("must have a parameter", "Write for example def FUNCTION(row): ...")
    form, takes_bytes = _form(first.annotation, fn)
    required = [
        each for each in parameters[1:]
        if each.default is each.empty
        and each.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]  # fmt: skip
    most = 0 if form is Form.BATCH else 1
    if len(required) > most or any(each.kind not in _POSITIONAL for each in required):
        names = ", ".join(each.name for each in required)
        raise SignatureError(
            f"has too many parameters without a default: {names}",
            "A function of a batch gets the batch and nothing else" if form is Form.BATCH else
            "A function gets the row, and as a second parameter its message",
        )  # fmt: skip
    return Signature(form, takes_bytes, takes_message=bool(required))


def _refuse_others(fn: Any) -> None:
    if inspect.isclass(fn):
        raise SignatureError("is a class", "Name a function; it may make an object of the class")
    if not callable(fn):
        raise SignatureError(f"is no function but a {type(fn).__name__}", "Name a function")
    for each in (fn, fn.__call__):
        if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
            raise SignatureError(
                "is an async function, which nothing would await",
                "Write a plain def; it may call asyncio.run",
            )


def _form(annotation: Any, fn: Callable[..., Any]) -> tuple[Form, bool]:
    found = _evaluated(annotation, fn) if isinstance(annotation, str) else annotation
    found = typing.get_origin(found) or found
    if isinstance(found, type) and issubclass(found, dict):  # a TypedDict too
        return Form.ROW, False
    try:
        return _FORMS[found]
    except (KeyError, TypeError):
        raise SignatureError(
            f"takes a parameter annotated with {annotation!r}, which tells no form", _FIX
        ) from None


def _evaluated(annotation: str, fn: Any) -> Any:
    """Return what an annotation that is text means, by its last name where it can't be evaluated.

    ``from __future__ import annotations`` makes all of them text, and what they name may have been
    imported for type checkers only.
    """
    names = getattr(inspect.unwrap(fn), "__globals__", {})
    try:
        found = eval(annotation, names)  # noqa: S307 - what the file itself would do
    except Exception:  # noqa: BLE001 - it is the user's
        name = annotation.partition("[")[0].strip().rpartition(".")[2]
        return _BY_NAME.get(name, annotation)
    return _evaluated(found, fn) if isinstance(found, str) and found != annotation else found
