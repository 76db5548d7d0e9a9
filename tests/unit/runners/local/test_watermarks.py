"""Watermarks: the least of what producers promise and of what holds, and never backwards."""

from runners.local.watermarks import MAX_US, MIN_US, Watermarks


def test_least_of_the_producers_counts() -> None:
    """A buffer is as far as the slowest of those who write it; one that nobody writes is done."""
    marks = Watermarks({b"both": ("a", "b"), b"one": ("a",)})
    assert marks.of_buffer(b"both") == MIN_US
    assert marks.of_buffer(b"nobody's") == MAX_US
    marks.advance("a", 7, ())
    assert (marks.of_buffer(b"one"), marks.of_buffer(b"both")) == (7, MIN_US)
    marks.advance("b", 5, ())
    assert marks.of_buffer(b"both") == 5


def test_holds_keep_it_back_and_nothing_moves_it_back() -> None:
    """The least hold wins over the input; a lower value leaves all as it was, and says so."""
    marks = Watermarks({})
    assert marks.advance("a", 100, [None, 40, 60])
    assert marks.of("a") == 40
    assert not marks.advance("a", 100, [30])
    assert not marks.advance("a", 40, ())
    assert marks.of("a") == 40
    assert marks.advance("a", MAX_US, [None])
    assert marks.of("a") == MAX_US


def test_survive_a_restart() -> None:
    """What was encoded is what is loaded, and replaces all that was there before."""
    before = Watermarks({})
    before.advance("early", MIN_US + 1, ())
    before.advance("late", MAX_US, ())
    after = Watermarks({})
    after.advance("forgotten", 3, ())
    after.load(before.encode())
    assert after.of("early") == MIN_US + 1
    assert after.of("late") == MAX_US
    assert after.of("forgotten") == MIN_US
    after.load(None)
    assert after.of("late") == MIN_US
