"""What is said about an exception of the pipeline's code, and when it is tried again."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)

from runners.local import LocalRunner
from runners.local.errors import StoreFull
from runners.local.failure import (
    FORGIVE_S,
    Failure,
    Retry,
    explain,
    report,
    worth_retrying,
)


class PoisonError(Exception):
    """Raised by the steps of these tests."""


def poison(element: Any) -> Any:
    if element[1] == 2:
        raise PoisonError("no such carrier")
    return element


def poison_late(element: Any) -> Iterator[Any]:
    yield element
    poison(element)


class Process(beam.DoFn):
    def process(self, element: Any, factor: int = 1, window: Any = beam.DoFn.WindowParam) -> Any:
        yield from poison_late(element)


class Scaling(beam.DoFn):
    def process(self, element: Any, factor: int, unit: str = "m") -> Any:
        yield from poison_late(element)


class Returning(beam.DoFn):
    def process(self, element: Any) -> Any:
        return poison_late(element)


class Rebinding(beam.DoFn):
    def process(self, element: Any) -> Any:
        given = element
        element = None
        poison(given)


class Starting(beam.DoFn):
    def start_bundle(self) -> None:
        raise PoisonError("no such carrier")

    def process(self, element: Any) -> None:
        pass


class Finishing(beam.DoFn):
    def process(self, element: Any) -> None:
        pass

    def finish_bundle(self) -> None:
        raise PoisonError("no such carrier")


class Adding(beam.CombineFn):
    def create_accumulator(self) -> int:
        return 0

    def add_input(self, accumulator: int, value: int) -> int:
        poison(("of the sum", value))
        return accumulator + value

    def merge_accumulators(self, accumulators: Any) -> int:
        return sum(accumulators)

    def extract_output(self, accumulator: int) -> int:
        return accumulator


class Extracting(Adding):
    def add_input(self, accumulator: int, value: int) -> int:
        return accumulator + value

    def extract_output(self, accumulator: int) -> int:
        poison(("of the sum", accumulator))
        return accumulator


class Ticking(beam.DoFn):
    TIMER = TimerSpec("tick", TimeDomain.WATERMARK)
    TIMER_PARAM = beam.DoFn.TimerParam(TIMER)

    def process(self, element: Any, timer: Any = TIMER_PARAM) -> None:
        timer.set(1)

    @on_timer(TIMER)
    def tick(self, key: Any = beam.DoFn.KeyParam, time: Any = beam.DoFn.TimestampParam) -> None:
        poison((key, 2))


class Storing(beam.DoFn):
    STATE_PARAM = beam.DoFn.StateParam(ReadModifyWriteStateSpec("number", VarIntCoder()))

    def process(self, element: Any, number: Any = STATE_PARAM) -> None:
        number.write("no number")
        number.read()
        raise PoisonError("not reached where Beam encodes at once")


class Split(beam.DoFn):
    def process(self, element: Any) -> Any:
        yield element
        raise StopAsyncIteration  # an exception without text


class WeirdError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one, two)

    def __str__(self) -> str:
        raise LookupError


def raise_weird(element: Any) -> None:
    raise WeirdError(1, 2)


def raise_from(element: Any) -> None:
    try:
        poison(element)
    except PoisonError as error:
        raise LookupError("the table") from error


def failure_of(step: Any) -> Failure:
    """Run a step on ("a", 1) and ("b", 2), and explain what it raises."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - each step has another one
        run(step)
    return explain(raised.value)


def run(step: Any, *argv: str) -> None:
    with beam.Pipeline(runner=LocalRunner(), options=PipelineOptions(list(argv))) as pipeline:
        pipeline | beam.Create([("a", 1), ("b", 2)]) | beam.Map(lambda each: each) | "Bad" >> step


STEPS = {
    "function": beam.Map(poison),
    "lambda": beam.Map(lambda element: [poison(element)]),
    "arguments": beam.Map(lambda element, factor, *, unit="m": poison(element), 3),
    "generator": beam.FlatMap(poison_late),
    "process": beam.ParDo(Process()),
    "keyword": beam.ParDo(Scaling(), 3, unit="km"),
    "returned generator": beam.ParDo(Returning()),
    "variable that was bound anew": beam.ParDo(Rebinding()),
    "filter": beam.Filter(poison),
    "tuple": beam.MapTuple(lambda key, value: poison((key, value))),
}


@pytest.mark.parametrize("name", STEPS)
def test_step_element_and_text(name: str) -> None:
    """However a function is given to Beam, the step, the element and the text are told."""
    failure = failure_of(STEPS[name])
    assert failure.step == "Bad"
    assert failure.element == "('b', 2)"
    assert failure.error == "PoisonError: no such carrier"
    assert str(failure) == "step Bad failed at ('b', 2): PoisonError: no such carrier"
    assert 'in poison\n    raise PoisonError("no such carrier")' in failure.traceback


def test_traceback_keeps_causes_and_leaves_out_the_machinery() -> None:
    """The traceback begins where the step was called, and shows what the exception came from."""
    failure = failure_of(beam.Map(raise_from))
    assert failure.error == "LookupError: the table"
    assert "direct cause" in failure.traceback
    assert "no such carrier" in failure.traceback
    assert "bundle_processor" not in failure.traceback


def test_function_without_a_frame_of_its_own() -> None:
    """A function in C leaves no frame; the element is known all the same."""
    failure = failure_of(beam.Map(int))
    assert failure.element == "('a', 1)"
    assert failure.error.startswith("TypeError: int()")


@pytest.mark.parametrize("fn", [Starting(), Finishing()])
def test_bundle_methods_have_no_element(fn: beam.DoFn) -> None:
    """What fails at the ends of a bundle was given no element, and none is made up."""
    failure = failure_of(beam.ParDo(fn))
    assert (failure.step, failure.element) == ("Bad", None)
    assert str(failure) == "step Bad failed: PoisonError: no such carrier"


def test_timer_tells_its_key_and_time() -> None:
    """The callback of a timer is told with what it was given."""
    failure = failure_of(beam.ParDo(Ticking()))
    assert failure.step == "Bad"
    assert failure.element is not None
    assert failure.element.startswith("key='a', time=Timestamp(1")


def test_state_names_the_element() -> None:
    """A value that a state can't hold is told with the element of the step that wrote it."""
    assert failure_of(beam.ParDo(Storing())).element == "('a', 1)"


def test_combiner_is_not_mistaken_for_the_step_before() -> None:
    """A combiner runs inside another step; it is named itself, with the value that it got."""
    failure = failure_of(beam.CombinePerKey(Adding()))
    assert failure.step is not None
    assert failure.step.startswith("Adding.add_input, right behind Map(")
    assert failure.element == "2"


def test_combiner_behind_its_grouping() -> None:
    """What a combiner does with whole groups is told with the accumulator."""
    failure = failure_of(beam.CombinePerKey(Extracting()))
    assert failure.element is not None
    assert "2" in failure.element


def test_exception_whose_text_fails() -> None:
    """A broken ``__str__`` doesn't hide the step, nor the element, nor the class."""
    failure = failure_of(beam.Map(raise_weird))
    assert (failure.step, failure.element) == ("Bad", "('a', 1)")
    assert failure.error == "WeirdError: <its text can't be made: LookupError>"


def test_exception_without_text() -> None:
    """An exception without arguments is named by its class."""
    assert failure_of(beam.ParDo(Split())).error == "StopAsyncIteration"


def test_exception_that_no_step_has_raised() -> None:
    """What comes from elsewhere is told without step and element."""
    failure = explain(OSError(28, "No space left on device"))
    assert (failure.step, failure.element) == (None, None)
    assert str(failure) == "the pipeline failed: OSError: [Errno 28] No space left on device"


def report_of(step: Any) -> RuntimeError:
    """Return the exception that arrives when a worker process has failed at a step."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - each step has another one
        run(step)
    return RuntimeError(report(raised.value))


def test_report_of_a_worker_is_read_back() -> None:
    """Through the text of a worker nothing is lost but what differs by call."""
    failure = explain(report_of(beam.Map(poison)))
    direct = failure_of(beam.Map(poison))
    assert (failure.step, failure.element, failure.error, failure.retry) == (
        direct.step, direct.element, direct.error, True,
    )  # fmt: skip
    assert "in poison" in failure.traceback


def test_worker_process_tells_the_element() -> None:
    """A step that fails in a process of its own is told as if it had failed here."""
    with pytest.raises(RuntimeError) as raised:
        run(beam.Map(poison), "--workers=2")
    assert str(explain(raised.value)) == (
        "step Bad failed at ('b', 2): PoisonError: no such carrier"
    )


def test_text_of_a_foreign_worker_still_names_the_step() -> None:
    """A worker that reports nothing but Beam's traceback tells the step at least."""
    failure = explain(RuntimeError("Traceback ...\nValueError: x [while running 'Bad']\n"))
    assert failure.step == "Bad"


class HopelessError(PoisonError):
    worth_retrying = False


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), StoreFull("s", "r", "f")])
def test_what_is_never_tried_again(error: BaseException) -> None:
    """Neither a stop nor the runner's own errors are failures of the pipeline's code."""
    assert not worth_retrying(error)
    assert Retry(10).failed(error) is None


def test_exception_may_refuse_a_retry() -> None:
    """A class of exceptions that says so is not tried again, also from a worker process."""
    assert worth_retrying(PoisonError())
    assert not worth_retrying(HopelessError())
    with pytest.raises(HopelessError) as raised:
        run(beam.Map(hopeless))
    assert not worth_retrying(raised.value)
    assert not worth_retrying(report_of(beam.Map(hopeless)))


def hopeless(element: Any) -> None:
    raise HopelessError("for good")


def test_pauses_double_up_to_a_minute() -> None:
    """Failures in a row wait for longer and longer; after the last attempt there is no wait."""
    retry = Retry(10, chance=lambda: 0.5)
    pauses = [retry.failed(PoisonError()) for _ in range(10)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, None]


def test_pauses_are_scattered() -> None:
    """Chance makes a pause shorter or longer by up to a half."""
    assert Retry(2, chance=lambda: 0.0).failed(PoisonError()) == 0.25
    assert Retry(2, chance=lambda: 1.0).failed(PoisonError()) == 0.75


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_long_success_starts_the_count_anew() -> None:
    """Failures that lie more than a minute of good work apart are each a first one."""
    clock = Clock()
    retry = Retry(2, clock=clock)
    for _ in range(5):
        pause_s = retry.failed(PoisonError())
        assert pause_s is not None
        clock.now_s += pause_s + FORGIVE_S + 1
        retry.succeeded()


def test_success_between_failures_does_not_hide_them() -> None:
    """A poisonous message that comes again and again, with good ones between, ends the job."""
    clock = Clock()
    retry = Retry(4, clock=clock)
    pauses = []
    for _ in range(4):
        pauses.append(retry.failed(PoisonError()))
        for _ in range(20):
            clock.now_s += 1.0
            retry.succeeded()
    assert pauses[-1] is None
    assert None not in pauses[:-1]


def test_work_that_is_long_and_fails_is_a_failure_in_a_row() -> None:
    """Time alone forgives nothing: work that fails after an hour has not gone well."""
    clock = Clock()
    retry = Retry(2, clock=clock)
    assert retry.failed(PoisonError()) is not None
    clock.now_s += 3_600
    assert retry.failed(PoisonError()) is None


def test_one_attempt_is_one() -> None:
    """Who allows one attempt gets the first failure."""
    assert Retry(1).failed(PoisonError()) is None


def test_many_attempts_have_finite_pauses() -> None:
    """Thousands of failures in a row don't overflow the pause."""
    retry = Retry(3_000)
    pauses = [retry.failed(PoisonError()) for _ in range(2_999)]
    assert all(pause is not None and 30 <= pause <= 90 for pause in pauses[8:])
