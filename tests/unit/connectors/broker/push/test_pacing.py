"""How fast an endpoint is pushed to."""

from connectors.broker import limits
from connectors.broker.push.pacing import Pacing


def test_window_grows_by_success_and_is_bounded() -> None:
    """One more for each message, up to the limit."""
    pacing = Pacing()
    assert pacing.room(0) == limits.PUSH_WINDOW_MIN
    pacing.succeeded()
    assert pacing.room(1) == limits.PUSH_WINDOW_MIN
    for _ in range(2 * limits.PUSH_WINDOW_MAX):
        pacing.succeeded()
    assert pacing.room(0) == limits.PUSH_WINDOW_MAX
    assert pacing.room(limits.PUSH_WINDOW_MAX + 5) == 0


def test_window_shrinks_by_failure_and_never_closes() -> None:
    """Half of it each time; one request always tries whether the endpoint is back."""
    pacing = Pacing(window=8)
    pacing.failed(0.0)
    assert pacing.room(0) == 4
    for number in range(1, 20):
        pacing.failed(1_000.0 * number)
    assert pacing.room(0) == 1


def test_pause_grows_from_100_ms_to_a_minute() -> None:
    """Doubling with each failure in a row."""
    pacing, now_s, pauses = Pacing(), 0.0, []
    for _ in range(12):
        pacing.failed(now_s)
        pauses.append(round(pacing.resume_s - now_s, 6))
        now_s = pacing.resume_s
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == 60.0
    pacing.succeeded()
    pacing.failed(now_s)
    assert round(pacing.resume_s - now_s, 6) == 0.1


def test_failures_beside_each_other_count_once() -> None:
    """Ten requests that were open when the endpoint died are one failure."""
    pacing = Pacing(window=10)
    for _ in range(10):
        pacing.failed(5.0)
    assert pacing.room(0) == 5
    assert pacing.resume_s == 5.0 + limits.PUSH_PAUSE_S_MIN
