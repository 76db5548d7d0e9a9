"""Keys of cells and slots."""

from runners.local.keys import (
    bag_state,
    first_parts,
    join,
    list_state,
    side_input,
    split,
    state_of_step,
    state_of_window,
)


def test_parts_come_back() -> None:
    """A joined key is split into the parts it was made of, empty ones too."""
    parts = [b"", b"a", b"\0\0\0\x01", b"x" * 300]
    assert split(join(*parts)) == parts
    assert split(b"") == []


def test_first_parts_are_a_prefix() -> None:
    """The first parts of a key are the key of these parts."""
    key = join(b"a", b"", b"bc", b"d")
    assert [first_parts(key, count) for count in range(5)] == [
        b"",
        join(b"a"),
        join(b"a", b""),
        join(b"a", b"", b"bc"),
        key,
    ]


def test_parts_do_not_run_into_each_other() -> None:
    """What belongs to one part can't be taken for the next, nor one kind of state for another."""
    keys = [
        bag_state("t", b"w", "s", b"k"),
        bag_state("tw", b"", "s", b"k"),
        bag_state("t", b"ws", "", b"k"),
        bag_state("t", b"w", "sk", b""),
        list_state("t", b"w", "s", b"k"),
        side_input("t", "w", b"s", b"k"),
    ]
    assert len(set(keys)) == len(keys)


def test_prefixes_name_what_is_removed_together() -> None:
    """A window's state begins with the window's prefix, that of other windows and steps doesn't."""
    window = state_of_window("t", b"w")
    for cell in (bag_state("t", b"w", "s", b"k"), list_state("t", b"w", "s", b"k")):
        assert cell.startswith(window)
        assert cell.startswith(state_of_step("t"))
    for cell in (bag_state("t", b"w2", "s", b"k"), list_state("t2", b"w", "s", b"k")):
        assert not cell.startswith(window)
    assert not bag_state("t2", b"w", "s", b"k").startswith(state_of_step("t"))
