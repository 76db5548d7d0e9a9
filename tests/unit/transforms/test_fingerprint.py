"""Fingerprints are the same for the same value, however Arrow holds it, and for ever."""

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from transforms.errors import ConfigError
from transforms.fingerprint import fingerprint


def hexes(*columns: pa.Array) -> list[str | None]:
    """Return the fingerprints as text, None where there is no key."""
    keys, missing = fingerprint(columns)
    return [None if gone else key.tobytes().hex() for key, gone in zip(keys, missing, strict=True)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([pa.array(["flight-17"])], "58da9dd156a918bec44a2643f0cd1d43"),
        ([pa.array([17])], "cd2cdb7089b6d0046c0c32c6e70e3ad9"),
        ([pa.array([0.5])], "52cd9f5538e56ad5ed3e60889bae5c1e"),
        ([pa.array([17], pa.timestamp("us", "UTC"))], "ee5a98c396369bb2feb78cfe6d4dc516"),
        ([pa.array(["flight"]), pa.array([17])], "9dfa2f83623bf6004913ebf55f6e9357"),
    ],
)
def test_fingerprints_never_change(columns: list[pa.Array], expected: str) -> None:
    """Fingerprints lie in the state of running pipelines: these values may never differ."""
    assert hexes(*columns) == [expected]


TEXT = ["a", "", None, "Zürich", "a", "x" * 300]


@pytest.mark.parametrize(
    "kind",
    [
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.uint32(), pa.large_string()),
    ],
    ids=str,
)
def test_encoding_of_text_does_not_matter(kind: pa.DataType) -> None:
    """Text has one fingerprint, in every way that Arrow holds it."""
    assert hexes(pa.array(TEXT).cast(kind)) == hexes(pa.array(TEXT))


def test_bytes_are_as_text() -> None:
    """Binary of any form has the fingerprint of the same bytes as text."""
    expected = hexes(pa.array(["ab", None, "cd"]))
    for kind in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2)):
        assert hexes(pa.array([b"ab", None, b"cd"], kind)) == expected, kind


@pytest.mark.parametrize(
    "column",
    [
        pa.array(TEXT),
        pa.array(TEXT).dictionary_encode(),
        pa.array([1, 2, None, 4]),
        pa.array([True, None, False, True]),
        pa.array([1.5, None, 2.5], pa.float32()),
    ],
    ids=lambda column: str(column.type),
)
def test_slices_are_as_wholes(column: pa.Array) -> None:
    """A slice has the fingerprints of its rows, wherever they lie in the parent."""
    whole = hexes(column)
    assert [hexes(column.slice(row, 1))[0] for row in range(len(column))] == whole


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint64()], ids=str
)
def test_width_of_integers_does_not_matter(kind: pa.DataType) -> None:
    """The integer 5 is one value, whatever its width."""
    assert hexes(pa.array([0, 5, 127], kind)) == hexes(pa.array([0, 5, 127]))


def test_floats_are_compared_as_values() -> None:
    """0.0 equals -0.0, NaN equals NaN of any bits, and the width does not matter."""
    other_nan = np.array([0xFFF8000000000001], np.uint64).view(np.float64)
    odd = pa.array(np.concatenate(([-0.0], other_nan)))
    plain = pa.array([0.0, float("nan")], from_pandas=False)
    assert hexes(odd) == hexes(plain) == hexes(plain.cast(pa.float32()))
    assert len(set(hexes(pa.array([0.0, float("nan"), float("inf"), 1.0])))) == 4


ONE_OF_EACH: list[tuple[Any, pa.DataType]] = [
    ("1", pa.string()),
    (1, pa.int64()),
    (1.0, pa.float64()),
    (True, pa.bool_()),
    (decimal.Decimal("1.0"), pa.decimal128(5, 1)),
    (1, pa.timestamp("us")),
    (1, pa.timestamp("us", "UTC")),
    (1, pa.timestamp("ms")),
    (dt.date(1970, 1, 2), pa.date32()),
    (dt.date(1970, 1, 2), pa.date64()),
    (1, pa.time32("s")),
    (1, pa.time64("us")),
    (1, pa.duration("s")),
]


def test_types_that_differ_have_other_fingerprints() -> None:
    """The number 1, the text "1" and the first second of 1970 are different keys."""
    seen = [hexes(pa.array([value], kind))[0] for value, kind in ONE_OF_EACH]
    assert len(set(seen)) == len(ONE_OF_EACH)


def test_order_and_borders_of_columns_count() -> None:
    """("a", "bc") is another key than ("ab", "c"), ("bc", "a") and "abc"."""
    a, bc, ab, c = (pa.array([text]) for text in ("a", "bc", "ab", "c"))
    empty = pa.array([""])
    keys = [hexes(a, bc), hexes(ab, c), hexes(bc, a), hexes(pa.array(["abc"])), hexes(a, bc, empty)]
    keys += [hexes(a), hexes(a, empty), hexes(empty, a), hexes(a, a), hexes(a, a, a)]
    assert len({key[0] for key in keys}) == len(keys)


def test_key_with_a_null_part_is_missing() -> None:
    """A null anywhere in a key means that there is no key; an empty text is a value."""
    left, right = pa.array(["a", None, "a", None, ""]), pa.array([1, 1, None, None, 1])
    missing = fingerprint([left, right]).missing
    assert missing.tolist() == [False, True, True, True, False]


def test_nulls_of_a_dictionary_are_missing() -> None:
    """A null may be in a dictionary's indices or among its values."""
    values = pa.array(["a", None])
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), values)
    assert fingerprint([column]).missing.tolist() == [False, True, True]
    empty = pa.DictionaryArray.from_arrays(pa.array([None], pa.int32()), pa.array([], pa.string()))
    assert fingerprint([empty]).missing.tolist() == [True]


def test_column_of_nulls_has_no_keys() -> None:
    """A column that never had a value is of no type, and all missing."""
    assert fingerprint([pa.nulls(3)]).missing.tolist() == [True] * 3


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.bool_(), pa.float64()], ids=str)
def test_no_rows_have_no_fingerprints(kind: pa.DataType) -> None:
    """An empty column is no special case."""
    keys, missing = fingerprint([pa.array([], kind)])
    assert keys.shape == (0, 2)
    assert missing.shape == (0,)


@pytest.mark.parametrize(
    "column",
    [pa.array([[1]]), pa.array([{"a": 1}]), pa.array([(1, 2, 3)], pa.month_day_nano_interval())],
    ids=lambda column: str(column.type),
)
def test_nested_types_are_refused(column: pa.Array) -> None:
    """A key of a type without one comparable value says what to do."""
    with pytest.raises(ConfigError, match="Name its parts"):
        fingerprint([column])


def test_key_of_no_columns_is_refused() -> None:
    """Without columns all rows would be duplicates of the first."""
    with pytest.raises(ConfigError, match="at least one column"):
        fingerprint([])


def test_bits_are_spread() -> None:
    """Neighbouring integers, and pairs of them, differ in half of the bits of both words."""
    near = pa.array(np.arange(4096))
    for columns in ([near], [near, near]):
        keys = fingerprint(columns).keys
        flips = np.bitwise_count(keys[1:] ^ keys[:-1]).mean(axis=0)
        assert np.all(np.abs(flips - 32) < 0.5), flips
