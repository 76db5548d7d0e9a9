"""Lists in pages: everything once, in order, by tokens that can't be made up."""

from typing import Any

import pytest

from connectors.broker import limits, schema
from connectors.broker.errors import InvalidArgument
from connectors.broker.pages import page

NAMES = [f"projects/p/topics/t{number:04}" for number in range(7)]


def topics(size: int = 3, token: str = "", project: str = "projects/p") -> Any:
    """Return a request."""
    request = schema.message("ListTopicsRequest")
    return request(project=project, page_size=size, page_token=token)


def test_pages_hold_everything_once() -> None:
    """In order, whatever order they were found in; the last page has no token."""
    first, token = page(reversed(NAMES), topics())
    second, token = page(NAMES, topics(token=token))
    third, end = page(NAMES, topics(token=token))
    assert (first, second, third, end) == (NAMES[:3], NAMES[3:6], NAMES[6:], "")


def test_a_full_last_page_has_no_token() -> None:
    """Nobody asks for an empty page."""
    assert page(NAMES, topics(len(NAMES))) == (NAMES, "")
    assert page([], topics()) == ([], "")


def test_deleted_name_loses_no_other() -> None:
    """The token says behind which name, and that need not exist."""
    _, token = page(NAMES, topics())
    rest = [*NAMES[:2], *NAMES[3:]]
    assert page(rest, topics(token=token))[0] == NAMES[3:6]


def test_size_is_limited() -> None:
    """0 takes the default, more than the limit takes the limit, less than 0 is refused."""
    many = [f"n{number:05}" for number in range(limits.PAGE_SIZE_MAX + 1)]
    assert len(page(many, topics(0))[0]) == limits.PAGE_SIZE_DEFAULT
    assert len(page(many, topics(limits.PAGE_SIZE_MAX + 1))[0]) == limits.PAGE_SIZE_MAX
    with pytest.raises(InvalidArgument, match=r"page_size \(-1\)"):
        page(many, topics(-1))


@pytest.mark.parametrize("token", ["x", "é", "AAAA", "AAAAAAAA", "projects/p/topics/t0002", "===="])
def test_made_up_token_is_refused(token: str) -> None:
    """The sentence shows it."""
    with pytest.raises(InvalidArgument, match=r"page_token .* was not given out for this list"):
        page(NAMES, topics(token=token))


def test_token_of_another_list_is_refused() -> None:
    """Neither of another project nor of another method."""
    _, token = page(NAMES, topics())
    with pytest.raises(InvalidArgument, match="page_token"):
        page(NAMES, topics(token=token, project="projects/q"))
    request = schema.message("ListSubscriptionsRequest")(project="projects/p", page_token=token)
    with pytest.raises(InvalidArgument, match="page_token"):
        page(NAMES, request)
