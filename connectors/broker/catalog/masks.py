"""Update masks: which fields of a resource an update replaces."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from connectors.broker.errors import InvalidArgument

__all__ = ["updated"]


def updated(current: Any, wanted: Any, mask: Any, mutable: Collection[str]) -> Any:
    """Return a resource with the fields of a mask replaced; a field that is not set is cleared.

    Args:
        current: protocol buffer of the resource as it is; not changed.
        wanted: protocol buffer of the same type, from the request.
        mask: ``google.protobuf.FieldMask``; a path may lead into a nested message.
        mutable: the fields of the resource that may change.

    Raises:
        InvalidArgument: the mask is empty, or a path names no field, or one that can't change.
    """
    if not mask.paths:
        raise InvalidArgument("update_mask", "empty", "must name at least one field")
    result = type(current)()
    result.CopyFrom(current)
    for path in mask.paths:
        names = path.split(".")
        _check_path(result.DESCRIPTOR, path, names)
        if names[0] not in mutable:
            raise InvalidArgument(
                "update_mask", repr(path),
                f"the {names[0]} field of a {current.DESCRIPTOR.name} can't be changed",
            )  # fmt: skip
        _replace(result, wanted, names)
    return result


def _check_path(message: Any, path: str, names: list[str]) -> None:
    kind = message
    for depth, name in enumerate(names):
        field = kind.fields_by_name.get(name) if kind else None
        if field is None or (field.is_repeated and depth + 1 < len(names)):
            raise InvalidArgument(
                "update_mask", repr(path),
                f"is no field of a {message.name}; a path is written like push_config, not"
                " pushConfig",
            )  # fmt: skip
        kind = field.message_type


def _replace(target: Any, source: Any, names: list[str]) -> None:
    for name in names[:-1]:
        if not (source.HasField(name) or target.HasField(name)):
            return  # nothing to set, nothing to clear
        target, source = getattr(target, name), getattr(source, name)
    last = names[-1]
    field = target.DESCRIPTOR.fields_by_name[last]
    target.ClearField(last)
    if field.is_repeated:
        getattr(target, last).MergeFrom(getattr(source, last))
    elif field.message_type is None:
        setattr(target, last, getattr(source, last))
    elif source.HasField(last):
        getattr(target, last).CopyFrom(getattr(source, last))
        getattr(target, last).SetInParent()  # an empty message says something too
