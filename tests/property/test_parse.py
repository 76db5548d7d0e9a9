"""Parsing by columns gives what a plain reader of single rows gives, however rows are batched."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.batch import Batch
from transforms.message import MESSAGE, MESSAGE_SCHEMA, message_column
from transforms.parse import Decoder

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("count", pa.int32()),
        pa.field("ratio", pa.float64()),
        pa.field("flag", pa.bool_()),
        pa.field("time", pa.timestamp("us", tz="UTC")),
        pa.field("day", pa.date32()),
        pa.field("price", pa.decimal128(6, 2)),
        pa.field("raw", pa.binary()),
        pa.field("tags", pa.list_(pa.field("item", pa.string(), nullable=False)), nullable=False),
        pa.field(
            "place",
            pa.struct([pa.field("x", pa.int64(), nullable=False), pa.field("day", pa.date32())]),
        ),
    ]
)
DECODER = Decoder(SCHEMA)


class BadError(Exception):
    """The reference refuses the row."""


def check(condition: object) -> None:
    """Refuse the row unless the condition holds."""
    if not condition:
        raise BadError


def integer(value: Any, bits: int) -> int:
    """Read an integer."""
    check(type(value) is int and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1))
    return int(value)


def number(value: Any) -> float:
    """Read a float, which may be written as an integer."""
    check(type(value) in {int, Decimal})
    made = float(value)
    check(abs(made) != float("inf"))
    return made


def text(value: Any) -> str:
    """Read a text."""
    check(type(value) is str)
    return str(value)


def day(value: Any) -> dt.date:
    """Read a date."""
    check(re.fullmatch(r"\d{4}-\d\d-\d\d", text(value), re.ASCII))
    try:
        return dt.date.fromisoformat(value)
    except ValueError as error:
        raise BadError from error


def moment(value: Any) -> dt.datetime:
    """Read a timestamp of the forms that the strategy below writes."""
    found = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?)?",
        text(value),
        re.ASCII,
    )
    check(found)
    assert found is not None
    date, clock, fraction, zone = found.groups()
    micros = (fraction or ".0")[1:7].ljust(6, "0")
    zone = "+00:00" if zone in {None, "Z"} else zone
    try:
        made = dt.datetime.fromisoformat(f"{date}T{clock or '00:00:00'}.{micros}{zone}")
        return made.astimezone(dt.timezone.utc)
    except (ValueError, OverflowError) as error:
        raise BadError from error


def decimal(value: Any) -> Decimal:
    """Read a decimal of six digits, two of them behind the point."""
    check(type(value) in {int, Decimal, str})
    check(re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", str(value), re.ASCII))
    made = Decimal(value)
    check(made == 0 or (made.adjusted() < 4 and made == made.quantize(Decimal("0.01"))))
    return made


def octets(value: Any) -> bytes:
    """Read base64."""
    try:
        return base64.b64decode(text(value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadError from error


def place(value: Any) -> dict[str, Any]:
    """Read the nested object."""
    check(type(value) is dict and "x" in value)
    return {
        "x": integer(value["x"], 64),
        "day": None if value.get("day") is None else day(value["day"]),
    }


def tags(value: Any) -> list[str]:
    """Read a list of texts."""
    check(type(value) is list)
    return [text(item) for item in value]


READERS = {
    "id": text,
    "count": lambda value: integer(value, 32),
    "ratio": number,
    "flag": lambda value: check(type(value) is bool) or value,
    "time": moment,
    "day": day,
    "price": decimal,
    "raw": octets,
    "tags": tags,
    "place": place,
}


def reference(payload: bytes) -> dict[str, Any]:
    """Read one payload with the standard library, field by field.

    Raises:
        BadError: the payload is to be rejected.
    """
    try:
        document = json.loads(
            payload.decode(), parse_float=Decimal, parse_constant=lambda name: check(not name)
        )
    except (ValueError, RecursionError) as error:
        raise BadError from error
    check(type(document) is dict)
    row = {}
    for name, read in READERS.items():
        value = document.get(name)
        check(value is not None or name != "id")
        row[name] = ([] if name == "tags" else None) if value is None else read(value)
    return row


def reference_or_none(payload: bytes) -> dict[str, Any] | None:
    """Read one payload; None if it is to be rejected."""
    try:
        return reference(payload)
    except BadError:
        return None


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)
days = st.dates().map(str) | st.sampled_from(["2023-02-29", "0000-01-01", "2024-1-1", ""])
clocks = st.times().map(str) | st.sampled_from(["24:00:00", "10:00:00.123456789", "23:59:60"])
zones = st.sampled_from(["", "Z", "+01:00", "-12:30", "+00:00"])
moments = (
    st.builds("{}{}{}{}".format, days, st.sampled_from("T "), clocks, zones)
    | days
    | st.text(max_size=3)
)
prices = st.decimals(-10_000, 10_000, places=3).map(str) | st.sampled_from(["1e2", "1.50", "x"])
good = {
    "id": st.text(max_size=8),
    "count": st.integers(-(2**31), 2**31 - 1),
    "ratio": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    "flag": st.booleans(),
    "time": moments,
    "day": days,
    "price": prices,
    "raw": st.binary(max_size=6).map(lambda data: base64.b64encode(data).decode()),
    "tags": st.lists(st.text(max_size=3), max_size=3),
    "place": st.fixed_dictionaries({"x": st.integers(-(2**63), 2**63 - 1)}, optional={"day": days}),
}
likely = {name: st.none() | strategy for name, strategy in good.items() if name != "id"}
documents = st.fixed_dictionaries({"id": good["id"]}, optional=likely).map(json.dumps)
doubtful = st.fixed_dictionaries(
    {}, optional={name: strategy | junk for name, strategy in good.items()}
).map(json.dumps)
cut = st.builds(lambda whole, at: whole[: at % (len(whole) + 1)], documents, st.integers(0, 200))
literal = st.sampled_from(
    [
        b"", b" ", b"null", b"[]", b"{}{}", b'{"id": "a"} {"id": "b"}', b'{"id": "\xff"}',
        b'{"id": "a", "z": "\xc3"}', b'{"id": "a", "ratio": NaN}', b'{"id": "a", "ratio": 1e999}',
        b'{"id": "a", "count": 2147483648}', b'{"id": "a", "count": 1.0}', b"[" * 5_000,
        b'{"id": "a", "price": 1.25}', b'{"id": "a", "price": 1e-500000000}', b'{"id": "a"}\n',
        b'{"id": "a", "id": "b"}', b'{"id": "a",', b'"z": 1}', b'{"id": "a", "ratio": Infinity}',
    ]
)  # fmt: skip
payloads = documents.map(str.encode) | doubtful.map(str.encode) | cut.map(str.encode) | literal


@settings(max_examples=300, deadline=None)
@given(st.lists(payloads, max_size=40), st.integers(1, 41))
def test_parsing_agrees_with_a_plain_reader(data: list[bytes], rows_max: int) -> None:
    """Each payload is where the reference puts it, with its values and its own message."""
    batch = Batch.from_pylist(
        [{"data": payload, "message_id": str(at)} for at, payload in enumerate(data)],
        MESSAGE_SCHEMA,
    )
    references = {str(at): reference_or_none(payload) for at, payload in enumerate(data)}
    expected = {at: row for at, row in references.items() if row is not None}
    rejected = [at for at, row in references.items() if row is None]

    accepted: dict[str, Any] = {}
    dead_ids: list[str] = []
    for part in batch.split(rows_max):
        ok, dead = DECODER.decode(part)
        ok.rows.validate(full=True)
        own = message_column(ok, "message_id").to_pylist()
        accepted |= dict(zip(own, ok.drop([MESSAGE]).to_pylist(), strict=True))
        if dead is not None:
            dead_ids += dead.column("message_id").to_pylist()
            for at, payload in zip(
                dead.column("message_id").to_pylist(), dead.column("data").to_pylist(), strict=True
            ):
                assert payload == data[int(at)]

    assert dead_ids == rejected
    assert list(accepted.items()) == list(expected.items())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_crash_the_parser(payload: bytes) -> None:
    """Whatever the bytes are, the message comes out once."""
    batch = Batch.from_pylist([{"data": payload, "message_id": "0"}], MESSAGE_SCHEMA)
    ok, dead = DECODER.decode(batch)
    assert len(ok) + len(dead or ()) == 1
