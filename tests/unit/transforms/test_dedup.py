"""De-duplication as a runner drives it, with state that can be rolled back or moved."""

import copy
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.internal import pickler
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from transforms.batch import Batch
from transforms.dedup import Deduplicate, _FirstOfKey
from transforms.errors import ConfigError
from transforms.field import column, message


class Store:
    """The committed state of one shard, and the timer; it plays all three parameters."""

    def __init__(self) -> None:
        self.bag: list[bytes] = []
        self.value: Any = None
        self.timer: Timestamp | None = None
        self.bag_reads = 0

    def copy(self) -> "Store":
        """Return a state to try a bundle on, or to come back to."""
        return copy.deepcopy(self)


class Chunks:
    def __init__(self, store: Store) -> None:
        self.store = store

    def add(self, chunk: bytes) -> None:
        self.store.bag.append(chunk)

    def clear(self) -> None:
        self.store.bag.clear()

    def read(self) -> list[bytes]:
        self.store.bag_reads += 1
        return list(self.store.bag)


class Value:
    def __init__(self, store: Store) -> None:
        self.store = store

    def read(self) -> Any:
        return None if self.store.value is None else tuple(self.store.value)

    def write(self, value: Any) -> None:
        self.store.value = tuple(value)


class Timer:
    def __init__(self, store: Store) -> None:
        self.store = store

    def set(self, time: Timestamp) -> None:
        self.store.timer = time


class Worker:
    """One instance of the step, in a process of its own unless it is a twin of another."""

    def __init__(self, fn: beam.DoFn | None = None, horizon_s: int = 40) -> None:
        self.fn = fn or _FirstOfKey((column("id"),), horizon_s * 1_000_000)
        self.fn.setup()

    def twin(self) -> "Worker":
        """Return another instance in the same process, as another thread has it."""
        return Worker(pickler.loads(pickler.dumps(self.fn)))

    def process(self, store: Store, ids: str, time_s: int = 0) -> str:
        """Return the ids that are kept; an underscore stands for null."""
        rows = pa.array([None if letter == "_" else letter for letter in ids], pa.string())
        batch = Batch(pa.RecordBatch.from_arrays([rows], ["id"]))
        element = (0, WindowedValue(batch, Timestamp(time_s), [GlobalWindow()]))
        kept = self.fn.process(element, Chunks(store), Value(store), Timer(store))
        return "".join(_letters(kept))

    def fire(self, store: Store) -> None:
        """Let the timer fire at the time that it is set to."""
        time, store.timer = store.timer, None
        assert time is not None
        self.fn.expire(0, time, Chunks(store), Value(store), Timer(store))


def _letters(kept: Iterator[WindowedValue]) -> Iterator[str]:
    for windowed in kept:
        for value in windowed.value.column("id").to_pylist():
            yield value or "_"


def test_first_of_each_key_is_kept_in_order() -> None:
    """Repetitions go, within a batch and between batches; the rest keeps its order."""
    worker, store = Worker(), Store()
    assert worker.process(store, "abacab") == "abc"
    assert worker.process(store, "cdae") == "de"
    assert worker.process(store, "abcde") == ""


def test_rows_without_key_are_kept() -> None:
    """A null is no duplicate of another null."""
    worker, store = Worker(), Store()
    assert worker.process(store, "_a_a_") == "_a__"
    assert worker.process(store, "__") == "__"
    assert len(store.bag) == 1


def test_empty_batch_changes_nothing() -> None:
    """A batch without rows gives none and stores nothing."""
    worker, store = Worker(), Store()
    assert worker.process(store, "") == ""
    assert store.value is None


def test_batch_without_duplicates_is_passed_on_uncopied() -> None:
    """The common batch costs no copy: it comes out as the object that went in."""
    fn, store = _FirstOfKey((column("id"),), 1_000_000), Store()
    fn.setup()
    batch = Batch(pa.record_batch({"id": ["a", "b"]}))
    element = (0, WindowedValue(batch, Timestamp(0), [GlobalWindow()]))
    (kept,) = fn.process(element, Chunks(store), Value(store), Timer(store))
    assert kept.value is batch


def test_store_is_not_read_while_the_memory_lives() -> None:
    """Bundle after bundle the living memory answers; the stored chunks are never read."""
    worker, store = Worker(), Store()
    for number in range(5):
        worker.process(store, "abc" + str(number))
    worker.fire(store)
    worker.process(store, "xyz", 100)
    assert store.bag_reads == 0


def test_instances_of_a_process_share_the_memory() -> None:
    """A runner hands the bundles of a shard to any thread: none of them reads the store."""
    worker, store = Worker(), Store()
    twin = worker.twin()
    assert worker.process(store, "ab") == "ab"
    assert twin.process(store, "bc") == "c"
    assert worker.process(store, "cd") == "d"
    assert store.bag_reads == 0


def test_bundle_that_is_rolled_back_leaves_no_trace() -> None:
    """What a failed bundle saw first is first again in the next one."""
    worker, store = Worker(), Store()
    worker.process(store, "ab")
    failed = store.copy()
    assert worker.process(failed, "bcd") == "cd"
    assert worker.process(store, "bcd") == "cd"
    assert store.bag_reads == 1
    assert worker.process(store, "de") == "e"
    assert store.bag_reads == 1


def test_first_bundle_that_is_rolled_back_leaves_no_trace() -> None:
    """The same holds where nothing was committed before."""
    worker, store = Worker(), Store()
    assert worker.process(store.copy(), "ab") == "ab"
    assert worker.process(store, "ab") == "ab"
    assert store.bag_reads == 0


def test_expiry_that_is_rolled_back_leaves_no_trace() -> None:
    """A key that was forgotten by a failed bundle is still known."""
    worker, store = Worker(), Store()
    worker.process(store, "ab")
    worker.fire(store.copy())
    assert worker.process(store, "abc") == "c"


def test_shard_moves_to_another_worker_and_back() -> None:
    """Each worker rebuilds its memory once when the shard comes, and is right from then on."""
    first, second, store = Worker(), Worker(), Store()
    assert first.process(store, "ab") == "ab"
    assert second.process(store, "bc") == "c"
    assert second.process(store, "cd") == "d"
    assert store.bag_reads == 1
    assert first.process(store, "abcde") == "e"
    assert first.process(store, "ef") == "f"
    assert store.bag_reads == 2


def test_shards_are_apart() -> None:
    """Each shard has a memory of its own: what one saw, another did not."""
    worker = Worker()
    assert worker.process(Store(), "ab") == "ab"
    assert worker.process(Store(), "ab") == "ab"


def test_timer_is_set_once_per_bucket() -> None:
    """The timer is set to the end of the oldest bucket plus the horizon, and only when new."""
    worker, store = Worker(), Store()
    worker.process(store, "a", 5)
    assert store.timer == Timestamp(50)
    store.timer = None
    worker.process(store, "b", 9)
    worker.process(store, "c", 25)
    assert store.timer is None
    worker.process(store, "d", -5)
    assert store.timer == Timestamp(40)


def test_keys_are_forgotten_bucket_by_bucket() -> None:
    """After the expiry of its bucket a key is first again; the timer goes on to the next."""
    worker, store = Worker(), Store()
    worker.process(store, "a", 0)
    worker.process(store, "b", 15)
    worker.fire(store)
    assert store.timer == Timestamp(60)
    assert worker.process(store, "ab", 20) == "a"
    worker.fire(store)
    worker.fire(store)
    assert store.timer is None
    assert store.bag == []


def test_key_of_the_end_of_time_sets_no_timer() -> None:
    """Beyond the last time of the global window no timer may be set; the key stays."""
    worker, store = Worker(), Store()
    end_s = GlobalWindow().max_timestamp().seconds() - 1
    assert worker.process(store, "a", end_s) == "a"
    assert worker.process(store, "a", end_s) == ""
    assert store.timer is None


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"horizon_s": 0}, "horizon_s=0"),
        ({"horizon_s": -1}, "horizon_s=-1"),
        ({"horizon_s": 1, "shards": 0}, "shards=0"),
        ({"horizon_s": 1, "key": ()}, "key=()"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], match: str) -> None:
    """A parameter that makes no sense is named when the pipeline is built."""
    with pytest.raises(ConfigError) as caught:
        Deduplicate(**{"key": message("message_id"), **parameters})
    assert str(caught.value).startswith(match)
