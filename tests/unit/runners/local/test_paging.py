"""Pages of a cell."""

from runners.local.paging import PAGE_BYTES, read_page
from runners.local.store import Store


def test_pages_follow_each_other_to_the_end() -> None:
    """A page ends with the row that fills it; its token leads to the next, the last has none."""
    store = Store.open(None)
    store.begin()
    half = b"h" * (PAGE_BYTES // 2)
    for data in (half, half, b"a", half * 3, b"b"):
        upto = store.append(b"cell", data)
    store.append(b"cell", b"later")
    first, token = read_page(store, b"cell", None, upto)
    assert first == half * 2
    second, token = read_page(store, b"cell", token, upto)
    assert second == b"a" + half * 3
    assert read_page(store, b"cell", token, upto) == (b"b", None)
    assert read_page(store, b"cell", token) == (b"blater", None)
    assert read_page(store, b"other", None) == (b"", None)
    store.close()


def test_full_last_page_is_followed_by_an_empty_one() -> None:
    """A reader that can't know whether more follows looks once more and finds the end."""
    store = Store.open(None)
    store.begin()
    store.append(b"cell", b"x" * PAGE_BYTES)
    data, token = read_page(store, b"cell", None)
    assert len(data) == PAGE_BYTES
    assert token
    assert read_page(store, b"cell", token) == (b"", None)
    store.close()
