"""User state, used by the code of Beam's harness, is as in Beam's own state in memory."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from apache_beam import coders
from apache_beam.runners.portability.fn_api_runner.worker_handlers import StateServicer
from apache_beam.runners.worker.bundle_processor import FnApiUserStateContext
from apache_beam.runners.worker.sdk_worker import GlobalCachingStateHandler
from apache_beam.runners.worker.statecache import StateCache
from apache_beam.transforms import userstate
from apache_beam.transforms.window import FixedWindows, IntervalWindow
from apache_beam.utils.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from runners.local.expiry import Scope
from runners.local.internals import sdk_worker
from runners.local.state import StateService
from runners.local.store import Store

WINDOWS = FixedWindows(60).get_window_coder()
BAG = userstate.BagStateSpec("bag", coders.StrUtf8Coder())
VALUE = userstate.ReadModifyWriteStateSpec("value", coders.VarIntCoder())
TOTAL = userstate.CombiningValueStateSpec("total", combine_fn=sum)
SET = userstate.SetStateSpec("set", coders.VarIntCoder())
LIST = userstate.OrderedListStateSpec("list", coders.StrUtf8Coder())

Op = tuple[str, Callable[[Any, Any], Any]]  # the state's name, and what is done with it
CELLS = st.tuples(st.sampled_from("ab"), st.sampled_from([0, 60]))
NUMBERS = st.integers(-5, 300)


def moment(number: int) -> Timestamp:
    """Return a sort key."""
    return Timestamp(micros=number)


@dataclass(frozen=True)
class Use:
    """One thing that a step does with one of its states, for a key and a window."""

    spec: Any
    method: str
    arguments: tuple[Any, ...] = ()


def uses(spec: Any, method: str, *arguments: Any) -> st.SearchStrategy[Use]:
    """Return uses of a state with drawn arguments."""
    return st.builds(Use, st.just(spec), st.just(method), st.tuples(*arguments))


ENTRY = st.tuples(NUMBERS.map(moment), st.sampled_from(["x", "y"]))
MOMENT = NUMBERS.map(moment)
USES = st.one_of(
    *(
        uses(spec, method)
        for spec in (BAG, SET, LIST, TOTAL, VALUE)
        for method in ("read", "clear")
    ),
    uses(BAG, "add", st.text(max_size=3)),
    uses(VALUE, "write", NUMBERS),
    uses(TOTAL, "add", NUMBERS),
    uses(SET, "add", NUMBERS),
    uses(LIST, "add", ENTRY),
    uses(LIST, "read_range", MOMENT, MOMENT),
    uses(LIST, "clear_range", MOMENT, MOMENT),
)
BUNDLES = st.lists(st.lists(st.tuples(CELLS, USES), max_size=12), max_size=6)


def run(
    state: sdk_worker.StateHandler, bundles: Any, *, cache_bytes: int, after: Callable[[], None]
) -> list[Any]:
    """Return what a step reads, bundle by bundle, and at the end."""
    random.seed(0)  # Beam compacts sets and accumulators now and then.
    harness = GlobalCachingStateHandler(StateCache(cache_bytes), state)
    seen = []
    for number, bundle in enumerate(bundles):
        with harness.process_instruction_id(f"bundle {number}", []):
            context = FnApiUserStateContext(harness, "t", coders.StrUtf8Coder(), WINDOWS)
            for (key, start), use in bundle:
                cell = context.get_state(use.spec, key, IntervalWindow(start, start + 60))
                result = getattr(cell, use.method)(*use.arguments)
                seen.append(plain(result))
            context.commit()
            context.reset()
        after()
    return seen


def plain(result: Any) -> Any:
    """Return what was read as values that can be compared."""
    if isinstance(result, set):
        return sorted(result)
    return result if isinstance(result, int | None) else list(result)


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
@given(bundles=BUNDLES)
def test_state_is_as_of_beam(cache_bytes: int, bundles: Any) -> None:
    """Every kind of state reads as from Beam's state in memory, with a harness that caches or not.

    Each bundle is an epoch; each epoch is taken back once, and done again.
    """
    everything = [((k, w), Use(spec, "read")) for k in "ab" for w in (0, 60) for spec in SPECS]
    bundles = [*bundles, everything]
    expected = run(StateServicer(), bundles, cache_bytes=cache_bytes, after=lambda: None)
    store = Store.open(None)
    state = StateService(store, threading.RLock(), {"t": Scope(WINDOWS.get_impl())})

    def commit() -> None:
        store.commit()
        store.begin()
        run(state, [bundles[0]], cache_bytes=0, after=lambda: None)
        store.rollback()
        state.reload()
        store.begin()

    store.begin()
    assert run(state, bundles, cache_bytes=cache_bytes, after=commit) == expected
    store.close()


SPECS = (BAG, VALUE, TOTAL, SET, LIST)
