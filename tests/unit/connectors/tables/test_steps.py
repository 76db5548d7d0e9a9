"""The order of commits, whatever the order in which they come."""

from __future__ import annotations

import random

import pytest

from connectors.tables.steps import in_order


@pytest.mark.parametrize("seed", range(20))
def test_commits_are_made_in_order_and_none_is_left(seed: int) -> None:
    """Shuffled, and some of them twice: each is made, and never before a smaller one."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    coming = [(number, b"%d" % number) for number in range(1, 30)]
    coming += chance.sample(coming, 5)
    chance.shuffle(coming)
    due, waiting, made = 1, [], []
    for each in coming:
        due, ready, waiting = in_order(due, [*waiting, each])
        made += [number for number, _ in ready]
    assert waiting == []
    assert due == 30
    firsts = list(dict.fromkeys(made))
    assert firsts == list(range(1, 30))


def test_what_is_not_due_waits() -> None:
    """A gap holds everything behind it."""
    assert in_order(3, [(5, b"e"), (4, b"d")]) == (3, [], [(4, b"d"), (5, b"e")])
