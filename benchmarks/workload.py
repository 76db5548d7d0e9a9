"""The input of the benchmark: seeded events as lines of JSON and as batches of messages.

Both files hold the same payloads in the same order. What a correct engine must make of any
prefix of them is known from the generator (``Workload.truth``), not from another engine.
"""

from __future__ import annotations

import itertools
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.message import MESSAGE_SCHEMA

__all__ = ["DISORDER_S", "MINUTES", "START_US", "Truth", "Workload", "generate"]

FORMAT = 1
"""Raised whenever the same seed gives other bytes, so that no stale file is used."""

SEED = 20_261_123
START_US = 1_795_420_800_000_000
"""2026-11-23T08:00:00Z: event time of the first event."""
MINUTES = 60
DISORDER_S = 30
DUPLICATE_DELAY_S = 60
DUPLICATE_SHARE = 0.05
MALFORMED_SHARE = 0.001
TRUNCATED_SHARE, GARBAGE_SHARE = 0.5, 0.3  # of the malformed; the rest has a wrong type
MESSAGES_PER_BATCH = 4_096

LINES, MESSAGES, FACTS = "events.ndjson", "messages.arrow", "facts.arrow"


@dataclass(frozen=True)
class Truth:
    """What a lake made from the input must hold."""

    rows: int
    user_id_sum: int
    rows_by_minute: dict[int, int]
    duplicates: int
    malformed: int


@dataclass(frozen=True)
class Workload:
    """Generated files of ``events`` messages in ``folder``."""

    folder: Path
    events: int

    @property
    def messages(self) -> Path:
        """Batches of messages, an Arrow IPC file."""
        return self.folder / MESSAGES

    def lines(self, events: int) -> Path:
        """Return a file of the first ``events`` payloads, one a line."""
        if events >= self.events:
            return self.folder / LINES
        path = self.folder / f"events-{events}.ndjson"
        if not path.exists():
            with (self.folder / LINES).open("rb") as source, path.open("wb") as target:
                target.writelines(itertools.islice(source, events))
        return path

    def truth(self, events: int) -> Truth:
        """Return what must become of the first ``events`` payloads."""
        facts = _read(self.folder / FACTS).slice(0, events)
        valid = facts.filter(pc.field("valid"))
        _, first = np.unique(valid["event"].to_numpy(), return_index=True)
        kept = valid.take(pa.array(first))
        minutes, counts = np.unique(kept["minute"].to_numpy(), return_counts=True)
        return Truth(
            rows=kept.num_rows,
            user_id_sum=pc.sum(kept["user_id"]).as_py(),
            rows_by_minute=dict(zip(minutes.tolist(), counts.tolist(), strict=True)),
            duplicates=valid.num_rows - kept.num_rows,
            malformed=facts.num_rows - valid.num_rows,
        )


def generate(cache: Path, events: int) -> Workload:
    """Return the input of that many events; it is generated once and kept in ``cache``."""
    folder = cache / f"input-{FORMAT}-{events}"
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _write(unfinished, events, np.random.default_rng(SEED))
        unfinished.rename(folder)
    return Workload(folder, events)


def _write(folder: Path, events: int, random: np.random.Generator) -> None:
    malformed = round(events * MALFORMED_SHARE)
    duplicates = round((events - malformed) * DUPLICATE_SHARE)
    distinct = events - duplicates  # the malformed ones included, at the end
    columns = _columns(distinct, random)
    payloads, valid = _damage(_payloads(columns), malformed, random)

    again = random.choice(distinct - malformed, duplicates, replace=False)
    event = np.concatenate([np.arange(distinct), again])
    arrival_us = columns["event_us"][event] + random.integers(0, DISORDER_S * 10**6, events)
    arrival_us[distinct:] += random.integers(0, DUPLICATE_DELAY_S * 10**6, duplicates)
    order = np.argsort(arrival_us, kind="stable")
    event, arrival_us = event[order], arrival_us[order]

    data = payloads.take(pa.array(event))
    _write_lines(folder / LINES, data)
    _write_table(folder / MESSAGES, _messages(data, arrival_us))
    facts = {
        "event": event,
        "user_id": columns["user_id"][event],
        "minute": columns["event_us"][event] // 60_000_000,
        "valid": valid[event],
    }
    _write_table(folder / FACTS, pa.table(facts))


def _columns(count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    span_ms = MINUTES * 60_000
    return {
        "event_us": START_US + random.integers(0, span_ms, count) * 1_000,
        "user_id": random.integers(1, 1_000_000, count),
        "type": random.choice(["view", "click", "search", "add_to_cart", "purchase"], count),
        "cents": random.integers(1, 50_000, count),
        "category": random.integers(1, 100, count),
        "item": random.integers(1, 100_000, count),
        "id_bytes": random.integers(0, 256, (count, 16), dtype=np.uint8),
    }


def _payloads(columns: dict[str, np.ndarray]) -> pa.StringArray:
    times = pa.array(columns["event_us"] // 1_000).cast(pa.timestamp("ms", "UTC"))
    parts = [
        '{"event_id":"', _uuids(columns["id_bytes"]),
        '","event_time":"', pc.replace_substring(times.cast(pa.string()), " ", "T"),
        '","user_id":', _text(columns["user_id"]),
        ',"event_type":"', pa.array(columns["type"]),
        '","amount":', _text(columns["cents"] / 100),
        ',"page":"/catalogue/category-', _text(columns["category"]),
        "/item-", _text(columns["item"]), '?from=home"}',
    ]  # fmt: skip
    return pc.binary_join_element_wise(*parts, "")


def _text(numbers: np.ndarray) -> pa.StringArray:
    return pa.array(numbers).cast(pa.string())


def _uuids(id_bytes: np.ndarray) -> pa.StringArray:
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    nibbles = np.stack([id_bytes >> 4, id_bytes & 15], axis=2).reshape(len(id_bytes), 32)
    text = np.insert(digits[nibbles], [8, 12, 16, 20], ord("-"), axis=1)
    offsets = np.arange(len(text) + 1, dtype=np.int32) * text.shape[1]
    return pa.StringArray.from_buffers(len(text), pa.py_buffer(offsets), pa.py_buffer(text))


def _damage(
    payloads: pa.StringArray, count: int, random: np.random.Generator
) -> tuple[pa.StringArray, np.ndarray]:
    """Spoil the last ``count`` payloads; also return which ones are still valid."""
    sound = len(payloads) - count
    truncated = round(count * TRUNCATED_SHARE)
    garbage = round(count * GARBAGE_SHARE)
    spoilt = []
    for index, text in enumerate(payloads.slice(sound).to_pylist()):
        if index < truncated:
            spoilt.append(text[: random.integers(1, len(text))])
        elif index < truncated + garbage:
            spoilt.append("".join(random.choice(list("abcdefghij #:,"), 120)))
        else:
            spoilt.append(re.sub(r'"user_id":\d+', '"user_id":"anonymous"', text))
    valid = np.arange(len(payloads)) < sound
    return pa.concat_arrays([payloads.slice(0, sound), pa.array(spoilt, pa.string())]), valid


def _messages(data: pa.StringArray, arrival_us: np.ndarray) -> pa.Table:
    count = len(data)
    origins = pa.MapArray.from_arrays(
        pa.array(np.arange(count + 1, dtype=np.int32)),
        pa.array(["origin"] * count),
        pa.array(["web"] * count),
    )
    columns = [
        data.cast(pa.binary()),
        origins,
        _text(np.arange(1, count + 1)),
        pa.array(arrival_us).cast(pa.timestamp("us", "UTC")),
        pa.array([""] * count),
        pa.nulls(count, pa.int32()),
    ]
    return pa.Table.from_arrays(columns, schema=MESSAGE_SCHEMA)


def _write_lines(path: Path, data: pa.StringArray) -> None:
    ended = pc.binary_join_element_wise(data, "", "\n")
    _, offsets, content = ended.buffers()
    ends = np.frombuffer(offsets, np.int32)[ended.offset : ended.offset + len(ended) + 1]
    path.write_bytes(content[int(ends[0]) : int(ends[-1])])


def _write_table(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=MESSAGES_PER_BATCH)


def _read(path: Path) -> pa.Table:
    with pa.ipc.open_file(path) as reader:
        return reader.read_all()
