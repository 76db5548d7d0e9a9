"""Rules between parameters."""

import pytest

from pipelines.rules import ExactlyOneOf, OnlyWith
from transforms.errors import ConfigError

ONE = ExactlyOneOf(("output", "topic"))
WITH_TOPIC = OnlyWith(("attribute", "key"), "topic", "counts only for a topic")
TABLES = OnlyWith(("add",), "format", "is for tables", ("delta", "iceberg"))


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        (ONE, {"output": "./lake"}),
        (WITH_TOPIC, {"topic": "t", "attribute": "id"}),
        (WITH_TOPIC, {}),
        (WITH_TOPIC, {"attribute": ""}),
        (TABLES, {"format": "delta", "add": "true"}),
        (TABLES, {"add": "false"}),
    ],
)
def test_what_goes_together_is_accepted(rule: ExactlyOneOf | OnlyWith, given: dict) -> None:
    """A parameter that is as if it were left out breaks nothing."""
    rule.check(given)


@pytest.mark.parametrize(
    ("rule", "given", "text"),
    [
        (ONE, {}, "--output or --topic: exactly one of them must be given, and none was."),
        (ONE, {"output": "a", "topic": "b"}, "exactly one of them must be given, and 2 were."),
        (
            WITH_TOPIC,
            {"key": "a"},
            "--key='a': counts only for a topic. Leave it out, or give --topic",
        ),
        (
            TABLES,
            {"format": "parquet", "add": "true"},
            "--add='true': is for tables. Leave it out, or give --format=delta or iceberg",
        ),
        (TABLES, {"add": "true"}, "or give --format=delta or iceberg"),
    ],
)
def test_what_does_not_is_refused(
    rule: ExactlyOneOf | OnlyWith, given: dict[str, str], text: str
) -> None:
    """The error names the flags and the fix."""
    with pytest.raises(ConfigError) as caught:
        rule.check(given)
    assert text in str(caught.value)


def test_each_name_that_breaks_a_rule_is_told() -> None:
    """Whoever judges a file tells all of them at once."""
    broken = [error.name for error in WITH_TOPIC.broken({"key": "a", "attribute": "b"})]
    assert broken == ["--attribute", "--key"]
    assert list(WITH_TOPIC.broken({"key": "a", "topic": "t"})) == []
    (error,) = ONE.broken({"output": "a", "topic": "b"})
    assert error.name == "--output or --topic"
