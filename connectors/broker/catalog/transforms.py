"""Single message transforms: what a topic or a subscription may ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.broker import limits
from connectors.broker.errors import InvalidArgument, Unsupported
from connectors.broker.settings import Transform

__all__ = ["read", "show"]

_REFUSED = {
    "ai_inference": "there is no Vertex AI to ask; call the model in a pipeline",
    "compression": "it is not built; compress in the publisher, or in a pipeline",
}


def read(transforms: Any) -> tuple[Transform, ...]:
    """Return the settings for repeated ``MessageTransform``; the code is not yet compiled.

    Raises:
        InvalidArgument: a rule is broken.
        Unsupported: this broker can't do one of them.
    """
    if len(transforms) > limits.TRANSFORMS_MAX:
        raise InvalidArgument(
            "message_transforms", f"{len(transforms)} given", f"at most {limits.TRANSFORMS_MAX}"
        )
    found = tuple(_read_one(each) for each in transforms)
    names = [each.function_name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgument(
                "function_name", repr(name), "must be unique among the transforms of a resource"
            )
    return found


def show(field: Any, transforms: Iterable[Transform]) -> None:
    """Fill a repeated ``MessageTransform``."""
    for each in transforms:
        function = {"function_name": each.function_name, "code": each.code}
        field.add(javascript_udf=function, disabled=each.disabled)


def _read_one(transform: Any) -> Transform:
    kind = transform.WhichOneof("transform")
    if kind is None:
        raise InvalidArgument("message_transforms", "empty", "a transform must say what it does")
    if kind in _REFUSED:
        raise Unsupported(f"A {kind} transform is not supported: {_REFUSED[kind]}.")
    function = transform.javascript_udf
    size_bytes = len(function.code.encode())
    if not function.function_name:
        raise InvalidArgument("function_name", "''", "must name a function of the code")
    if not 1 <= size_bytes <= limits.UDF_CODE_BYTES_MAX:
        raise InvalidArgument(
            "code", f"{size_bytes} bytes", f"must be 1 to {limits.UDF_CODE_BYTES_MAX} bytes"
        )
    return Transform(function.function_name, function.code, transform.disabled)
