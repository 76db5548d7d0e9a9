"""Rate: how fast a number grows, lately."""

from pipelines.rate import RATE_S, Rate


def test_rate_is_that_of_the_last_seconds() -> None:
    """What came long ago, or before the watch began, is not in the rate."""
    rate = Rate(0.0, 1_000_000)
    assert rate.after(1.0, 3_000_000) == 2_000_000.0
    found = [rate.after(2.0 + second, 3_000_000 + 100 * second) for second in range(10)]
    assert found[-1] == 100.0
    found = [rate.after(12.0 + second, 3_000_900) for second in range(int(RATE_S) + 1)]
    assert found[-1] == 0.0


def test_commits_that_are_far_apart_have_a_rate() -> None:
    """Between two commits, however often one looks, the rate is that which led to the last one."""
    rate = Rate(0.0, 0)
    looks = [rate.after(commit_s, 50 * commit_s) for commit_s in (20, 40, 60) for _ in range(80)]
    assert set(looks) == {50.0}


def test_single_commit_in_a_pause_is_no_burst() -> None:
    """Messages that come all at once are spread over the last seconds."""
    rate = Rate(0.0, 0)
    for tenth in range(600):
        rate.after(tenth / 10, 0)
    assert rate.after(60.0, 1_000) == 1_000 / RATE_S


def test_without_time_there_is_no_rate() -> None:
    """The first look, and one at which no time has passed, divide by nothing."""
    rate = Rate(5.0, 10)
    assert rate.after(5.0, 10) == 0.0
    rate.after(6.0, 20)
    assert rate.after(6.0, 20) == 10.0


def test_memory_is_bounded() -> None:
    """Whoever is watched for long keeps no more than the last seconds."""
    rate = Rate(0.0, 0)
    for look in range(1_000):
        rate.after(look / 4, look)
    assert len(rate._seen) <= RATE_S * 4 + 2
