"""Drives a Grouping with plain Python elements, and reads its panes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from apache_beam.coders import (
    Coder,
    IterableCoder,
    StrUtf8Coder,
    TupleCoder,
    VarIntCoder,
    WindowedValueCoder,
)
from apache_beam.coders.coder_impl import create_InputStream
from apache_beam.coders.coders import IntervalWindowCoder
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import (
    BoundedWindow,
    IntervalWindow,
    NonMergingWindowFn,
    WindowFn,
)
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import PaneInfo, WindowedValue

from runners.local.grouping import Grouping
from runners.local.panes import release, values_of
from runners.local.store import Chunk, Store


class Pane(NamedTuple):
    """A pane as the next stage sees it."""

    key: str
    window: Any
    values: tuple[Any, ...]
    timestamp: Timestamp
    info: PaneInfo


class Feed:
    """A grouping of strings to values, with clocks that only the caller moves.

    Args:
        windowing: of the grouping.
        store: where its state is.
        value_coder: of the values; integers unless said otherwise.
        batch: the input is bounded.
    """

    def __init__(
        self, windowing: Windowing, store: Store, value_coder: Any = None, *, batch: bool = False
    ) -> None:
        self.windowing, self.batch = windowing, batch
        self.watermark_us, self.now_us = MIN_TIMESTAMP.micros, 0
        value_coder = value_coder or VarIntCoder()
        windows = windowing.windowfn.get_window_coder()
        key = StrUtf8Coder()
        self.input_coder = WindowedValueCoder(TupleCoder((key, value_coder)), windows)
        self.output_coder = WindowedValueCoder(
            TupleCoder((key, IterableCoder(value_coder))), windows
        )
        self.open(store)

    def open(self, store: Store) -> None:
        """Start anew on a store."""
        self.store = store
        self.grouping = Grouping(
            "step/group",
            self.windowing,
            self.input_coder,
            self.output_coder,
            store,
            lambda: Timestamp(micros=self.now_us),
            batch=self.batch,
        )

    def windowed(self, key: str, value: Any, time: Any) -> WindowedValue:
        """Return an element in the windows that it is assigned to."""
        time = Timestamp.of(time)
        windows = self.windowing.windowfn.assign(WindowFn.AssignContext(time, element=value))
        return WindowedValue((key, value), time, tuple(windows))

    def encode(self, elements: Iterable[tuple[str, Any, Any]]) -> bytes:
        """Return (key, value, seconds) as a bundle writes them."""
        encode = self.input_coder.get_impl().encode_nested
        return b"".join(encode(self.windowed(*element)) for element in elements)

    def add(self, *elements: tuple[str, Any, Any]) -> list[Pane]:
        """Add a bundle of (key, value, seconds); return the panes that it fires."""
        self.grouping.add(self.encode(elements), self.watermark_us)
        return self.take()

    def watermark(self, seconds: Any) -> list[Pane]:
        """Move the watermark; return the panes that are fired."""
        self.watermark_us = Timestamp.of(seconds).micros
        return self.advance()

    def clock(self, seconds: Any) -> list[Pane]:
        """Move the processing time; return the panes that are fired."""
        self.now_us = Timestamp.of(seconds).micros
        return self.advance()

    def advance(self) -> list[Pane]:
        """Fire what is due; return the panes."""
        self.grouping.advance(self.watermark_us, self.now_us)
        return self.take()

    def take(self) -> list[Pane]:
        """Return the panes that were fired since, and release them."""
        return [pane for chunk in self.grouping.take() for pane in self.decode(chunk)]

    def decode(self, chunk: Chunk) -> Iterator[Pane]:
        """Yield the panes of a chunk, and release its bag."""
        data = chunk.data or b""
        if chunk.bag is not None:
            values = b"".join(values_of(self.store, chunk.bag))
            assert len(values) == chunk.bag.nbytes
            data += chunk.bag.count.to_bytes(4, "big") + values
            release(self.store, chunk.bag)
        stream = create_InputStream(data)
        decode = self.output_coder.get_impl().decode_from_stream
        while stream.size():
            windowed = decode(stream, True)
            key, values = windowed.value
            (window,) = windowed.windows
            assert windowed.timestamp_micros >= chunk.hold_us - 999
            yield Pane(key, window, tuple(values), windowed.timestamp, windowed.pane_info)

    def rows(self) -> int:
        """Return how much is in the store: rows, timers, notes and cells."""
        count = 0
        for table in ("rows", "timers", "named"):
            where = " WHERE CAST(name AS TEXT) NOT LIKE 'cells:%'" if table == "named" else ""
            count += self.store._database.read(f"SELECT count(*) FROM {table}{where}")[0][0]
        return count


class Shelf(BoundedWindow):
    """A window of a kind that only its window function knows."""

    def __init__(self, name: str, end: Any) -> None:
        super().__init__(end)
        self.name = name

    @property
    def start(self) -> Timestamp:
        return Timestamp(0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shelf) and (self.name, self.end) == (other.name, other.end)

    def __hash__(self) -> int:
        return hash((self.name, self.end))


class ShelfCoder(Coder):
    """Writes shelves in a way of its own."""

    def encode(self, value: Shelf) -> bytes:
        return f"{value.end.micros} {value.name}".encode()

    def decode(self, encoded: bytes) -> Shelf:
        end_us, name = encoded.decode().split(" ", 1)
        return Shelf(name, Timestamp(micros=int(end_us)))

    def is_deterministic(self) -> bool:
        return True


class Shelves(NonMergingWindowFn):
    """Puts an element on one or two shelves of ten seconds."""

    def assign(self, assign_context: Any) -> list[Shelf]:
        ten = int(assign_context.timestamp) // 10
        names = ["left", "right"] if int(assign_context.timestamp) % 2 else ["left"]
        return [Shelf(name, (ten + 1) * 10) for name in names]

    def get_window_coder(self) -> Coder:
        return ShelfCoder()


class Pulling(NonMergingWindowFn):
    """Windows of ten seconds that merge when three of them, in a row, have elements."""

    def is_merging(self) -> bool:
        return True

    def assign(self, assign_context: Any) -> list[IntervalWindow]:
        start = int(assign_context.timestamp) // 10 * 10
        return [IntervalWindow(start, start + 10)]

    def merge(self, merge_context: Any) -> None:
        windows = sorted(merge_context.windows, key=lambda window: (window.start, window.end))
        while len(windows) >= 3:
            row, windows = windows[:3], windows[3:]
            if all(a.end == b.start for a, b in pairwise(row)):
                merge_context.merge(row, IntervalWindow(row[0].start, row[-1].end))

    def get_window_coder(self) -> Coder:
        return IntervalWindowCoder()
