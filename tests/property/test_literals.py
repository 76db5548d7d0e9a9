"""Whether a text is accepted, and as what, never depends on the other rows of its column."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.literals import converter

TYPES = [
    pa.timestamp("us", tz="UTC"),
    pa.timestamp("ms"),
    pa.date32(),
    pa.time64("us"),
    pa.decimal128(7, 2),
]
# Texts near the edge between what is accepted and what is not.
TEXTS = st.one_of(
    st.from_regex(
        r"\A[0-2]\d{3}-[01]\d-[0-3]\d([ Tt_]([0-2]\d(:[0-6]\d){0,2}([.,]\d{0,10})?)"
        r"(Z|z|UTC| ?[+-][0-2]\d(:?[0-6]\d?)?)?)?\Z"
    ),
    st.from_regex(r"\A[0-2]\d(:[0-6]\d){0,2}(\.\d{0,10})?\Z"),
    st.from_regex(r"\A[+-]?\d{0,7}(\.\d{0,5})?([eE][+-]?\d{1,3})?\Z"),
    st.text(max_size=12),
)


@pytest.mark.parametrize("to", TYPES, ids=str)
@settings(max_examples=150, deadline=None)
@given(texts=st.lists(st.none() | TEXTS, max_size=12))
def test_each_text_stands_alone(to: pa.DataType, texts: list[str | None]) -> None:
    """A column gives what its texts give one by one."""
    convert = converter(to)
    assert convert is not None
    together = convert(pa.array(texts, pa.string()))
    alone = [convert(pa.array([text], pa.string())) for text in texts]
    assert together.equals(pa.concat_arrays(alone) if alone else pa.array([], to))
