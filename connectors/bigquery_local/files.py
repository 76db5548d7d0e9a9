"""The files of a load job: where their bytes come from, and their rows."""

from __future__ import annotations

import fnmatch
import io
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.schema import Field, Schema

__all__ = ["Objects", "json_lines", "parquet", "parquet_schema"]

_TIMEOUT_S = 60.0


class Objects:
    """Reads ``gs://`` objects from an emulator of Cloud Storage.

    Args:
        endpoint: ``http://HOST:PORT``; empty refuses every object.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")

    def read(self, uri: str) -> list[tuple[str, bytes]]:
        """Return the objects of a URI, by name; ``*`` stands for any characters.

        Raises:
            Refusal: there is none.
        """
        if not uri.startswith("gs://") or not self._endpoint:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"Source URI {uri!r}: it must begin with gs://, and STORAGE_EMULATOR_HOST must "
                "name the Cloud Storage emulator when this server starts.",
            )
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        names = self._matching(bucket, name) if "*" in name else [name]
        if not names:
            raise Refusal(Code.NOT_FOUND, f"Not found: Uris {uri}")
        return [(f"gs://{bucket}/{found}", self._get(bucket, found)) for found in names]

    def _matching(self, bucket: str, pattern: str) -> list[str]:
        found: list[str] = []
        query = {"prefix": pattern.partition("*")[0]}
        while True:
            path = f"/storage/v1/b/{bucket}/o?{urllib.parse.urlencode(query)}"
            page = json.loads(self._fetch(path, f"gs://{bucket}/{pattern}"))
            found += [item["name"] for item in page.get("items", ())]
            if not page.get("nextPageToken"):
                break
            query["pageToken"] = page["nextPageToken"]
        # Only the star is special in a URI of BigQuery.
        plain = pattern.replace("[", "[[]").replace("?", "[?]")
        return sorted(name for name in found if fnmatch.fnmatchcase(name, plain))

    def _get(self, bucket: str, name: str) -> bytes:
        quoted = urllib.parse.quote(name, safe="")
        return self._fetch(f"/download/storage/v1/b/{bucket}/o/{quoted}?alt=media", name)

    def _fetch(self, path: str, what: str) -> bytes:
        url = self._endpoint + path
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - ours
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == 404:  # noqa: PLR2004 - HTTP's own number
                raise Refusal(Code.NOT_FOUND, f"Not found: URI {what}") from None
            raise Refusal(Code.UNAVAILABLE, f"{url} answered {error.code}") from None
        except OSError as error:
            raise Refusal(Code.UNAVAILABLE, f"{url} can't be read: {error}") from None


def json_lines(data: bytes, source: str) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON lines.

    Raises:
        Refusal: a line is no JSON object.
    """
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise _unreadable(source, f"line {number}: {error}") from None
        if not isinstance(row, Mapping):
            raise _unreadable(source, f"line {number} is no object")
        rows.append(dict(row))
    return rows


def parquet(data: bytes, source: str, *, lists: bool) -> pa.Table:
    """Return the rows of a Parquet file.

    Args:
        data: of the file.
        source: its name, for messages.
        lists: LIST columns are arrays (``parquetOptions.enableListInference``). Without it
            BigQuery makes a RECORD with a field ``list`` of them, which is refused here.

    Raises:
        Refusal: it is no Parquet file, or has what is refused.
    """
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(source, str(error)) from None
    if not lists and any(_has_list(field.type) for field in table.schema):
        raise _unreadable(
            source,
            "it has LIST columns: set parquetOptions.enableListInference, for without it BigQuery "
            "makes nested records of them, which is not done here",
        )
    columns = [_plain(column.combine_chunks()) for column in table.columns]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _has_list(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_has_list(child.type) for child in kind)
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _plain(array: pa.Array) -> pa.Array:
    """Return a column without what only Parquet has: dictionaries, nanoseconds."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_timestamp(array.type) and array.type.unit == "ns":
        return array.cast(pa.timestamp("us", array.type.tz), safe=False)
    if pa.types.is_time(array.type) and array.type != pa.time64("us"):
        return array.cast(pa.time64("us"), safe=False)
    return array


def parquet_schema(schema: pa.Schema, source: str) -> Schema:
    """Return the columns that BigQuery makes of a Parquet file.

    Raises:
        Refusal: it makes none of a type.
    """
    return tuple(_field(field, source) for field in schema)


def _field(field: pa.Field, source: str) -> Field:
    kind, mode = field.type, "NULLABLE"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind, mode = kind.value_type, "REPEATED"
    if pa.types.is_struct(kind):
        return Field(field.name, "STRUCT", mode, tuple(_field(child, source) for child in kind))
    for test, name in _KINDS:
        if test(kind):
            return Field(field.name, name, mode)
    raise _unreadable(source, f"column {field.name} has the type {kind}")


def _small_decimal(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind)) and kind.scale <= 9 and kind.precision - kind.scale <= 29  # noqa: PLR2004 - NUMERIC's digits


_KINDS = (
    (pa.types.is_integer, "INT64"),
    (pa.types.is_floating, "FLOAT64"),
    (pa.types.is_boolean, "BOOL"),
    (lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind), "STRING"),
    (lambda kind: pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind), "BYTES"),
    (_small_decimal, "NUMERIC"),
    (pa.types.is_decimal, "BIGNUMERIC"),
    (lambda kind: pa.types.is_timestamp(kind) and kind.tz is not None, "TIMESTAMP"),
    (pa.types.is_timestamp, "DATETIME"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_time, "TIME"),
)


def _unreadable(source: str, text: str) -> Refusal:
    return Refusal(
        Code.INVALID_ARGUMENT, f"Error while reading data, error message: {text} File: {source}"
    )
