"""Families of Arrow types: every layout is in its family, and in no other."""

import pyarrow as pa
import pytest

from transforms.arrow_types import either, is_bytes, is_list, is_text

FAMILIES = {
    is_text: (pa.string(), pa.large_string(), pa.string_view()),
    is_bytes: (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(16)),
    is_list: (
        pa.list_(pa.int8()), pa.large_list(pa.int8()), pa.list_(pa.int8(), 2),
        pa.list_view(pa.int8()), pa.large_list_view(pa.int8()),
    ),
}  # fmt: skip
OTHERS = (pa.int64(), pa.bool_(), pa.map_(pa.string(), pa.string()), pa.null(), pa.struct([]))
EVERY = [*(kind for kinds in FAMILIES.values() for kind in kinds), *OTHERS]


@pytest.mark.parametrize("kind", EVERY, ids=str)
def test_a_type_is_of_its_family_alone(kind: pa.DataType) -> None:
    """Texts, bytes and lists are told apart in every layout; the rest is none of them."""
    assert [is_family(kind) for is_family in FAMILIES] == [
        kind in kinds for kinds in FAMILIES.values()
    ]


def test_either_holds_where_one_does() -> None:
    """One of the tests is enough, and without any nothing fits."""
    test = either(pa.types.is_int64, is_text)
    assert [test(kind) for kind in (pa.int64(), pa.string(), pa.binary())] == [True, True, False]
    assert not either()(pa.int64())
