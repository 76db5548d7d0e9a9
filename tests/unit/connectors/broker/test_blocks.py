"""Where the messages of a topic are, and how that changes when they are moved."""

import pytest

from connectors.broker.blocks import Blocks
from connectors.broker.events import Block, Place

THERE = [(0, 3), (3, 1), (6, 4)]
"""First position and number of messages of each block."""


def block(first: int, messages: int, segment: int = 1) -> Block:
    """Return a block whose place tells its first position."""
    return Block(first, messages, first * 10, Place(segment, first * 64, 64), 7)


def blocks() -> Blocks:
    """Return three blocks with a gap between."""
    made = Blocks()
    for each in THERE:
        made.append(block(*each))
    return made


@pytest.mark.parametrize(
    ("moved", "freed", "left"),
    [
        ((0, 3), [0], [(0, 3), (3, 1), (6, 4)]),
        ((1, 1), [0], [(1, 1), (3, 1), (6, 4)]),
        ((7, 3), [6], [(0, 3), (3, 1), (7, 3)]),
        ((4, 2), [], [(0, 3), (3, 1), (4, 2), (6, 4)]),
        ((10, 2), [], [(0, 3), (3, 1), (6, 4), (10, 2)]),
        ((2, 6), [0, 3, 6], [(2, 6)]),
    ],
)
def test_moved_block_is_in_place_of_what_it_overlaps(
    moved: tuple[int, int], freed: list[int], left: list[tuple[int, int]]
) -> None:
    """Or between others, where a recovery has not found what was there before."""
    made = blocks()
    places = made.replace(block(*moved, segment=2))
    assert [place.offset // 64 for place in places] == freed
    assert [(each.first, each.messages) for each in made] == left
    assert [each.first for each in made if each.place.segment == 2] == [moved[0]]
    assert list(made.times_us) == [first * 10 for first, _ in left]
