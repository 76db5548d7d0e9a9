"""Families of Arrow types that differ in layout alone: texts, bytes, lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pyarrow as pa

__all__ = ["Test", "either", "is_bytes", "is_list", "is_text"]

Test: TypeAlias = Callable[[pa.DataType], bool]
"""Tells whether a type is of a family; those of ``pyarrow.types`` are such too."""


def either(*tests: Test) -> Test:
    """Return the test that holds where one of these does."""
    return lambda kind: any(test(kind) for test in tests)


is_text = either(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
"""Tell whether the values are texts."""

is_bytes = either(
    pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)  # fmt: skip
"""Tell whether the values are bytes."""

is_list = either(
    pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view,
    pa.types.is_large_list_view,
)  # fmt: skip
"""Tell whether the values are lists; maps are not counted."""
