"""Refusing what would be stored and never act: silence would be worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.broker.errors import Unsupported

__all__ = ["refuse"]


def refuse(resource: Any, reasons: Mapping[str, str]) -> None:
    """Refuse a resource with a field that can't act here; an empty message asks for nothing.

    Args:
        resource: protocol buffer.
        reasons: the fields that can't act, and why.

    Raises:
        Unsupported: one of them is set.
    """
    for field, value in resource.ListFields():
        if field.name in reasons and not (hasattr(value, "ByteSize") and not value.ByteSize()):
            raise Unsupported(f"{field.name} is not supported: {reasons[field.name]}.")
