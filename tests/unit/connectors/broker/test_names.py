"""Resource names: what the service accepts and refuses."""

import pytest

from connectors.broker.errors import InvalidArgument
from connectors.broker.names import check_project, check_resource


@pytest.mark.parametrize("name", ["projects/p/topics/abc", "projects/p/topics/a-_.~+%9",
                                  "projects/p/topics/" + "a" * 255])  # fmt: skip
def test_good_names_pass(name: str) -> None:
    """3 to 255 of the allowed characters, after a letter."""
    check_resource("name", name, "topics")


@pytest.mark.parametrize("name", [
    "", "abc", "projects/p/topics/ab", "projects/p/topics/" + "a" * 256, "projects/p/topics/1abc",
    "projects/p/topics/goog-x", "projects/p/topics/a b c", "projects/p/topics/abc\n",
    "projects//topics/abc", "projects/p q/topics/abc", "projects/p\n/topics/abc",
    "projects/" + "p" * 256 + "/topics/abc",
    "projects/p/subscriptions/abc", "projects/p/topics/abc/d",
])  # fmt: skip
def test_bad_names_are_refused(name: str) -> None:
    """The sentence names the field, the value and the rule."""
    with pytest.raises(InvalidArgument, match=r"name .*must be projects/\{project\}/topics/\{id\}"):
        check_resource("name", name, "topics")


@pytest.mark.parametrize(
    "name", ["", "p", "projects/", "projects/p/topics", "projects/p ", "projects/" + "p" * 256]
)
def test_bad_projects_are_refused(name: str) -> None:
    """A list is of one project."""
    with pytest.raises(InvalidArgument, match="project"):
        check_project("project", name)
