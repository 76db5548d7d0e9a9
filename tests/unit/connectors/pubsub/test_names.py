"""The rules of resource names."""

from __future__ import annotations

import pytest

from connectors.pubsub import names
from transforms.errors import ConfigError


@pytest.mark.parametrize(
    "name",
    [
        "projects/my-project/topics/abc",
        "projects/example.com:my-project/topics/A-_.~+%9",
        "projects/p/topics/" + "a" * 255,
        "projects/p/topics/go-og",
    ],
)
def test_good_names_pass(name: str) -> None:
    """Names within the rules are accepted, as topics and as subscriptions."""
    names.check_topic("topic", name)
    names.check_subscription("input", name.replace("/topics/", "/subscriptions/"))


@pytest.mark.parametrize(
    "name",
    [
        "", "abc", "projects/p/topics", "projects/p/topics/", "projects//topics/abc",
        "projects/p/topics/ab", "projects/p/topics/" + "a" * 256, "projects/p/topics/1abc",
        "projects/p/topics/google-things", "projects/p/topics/a b", "projects/p/topics/abc/d",
        "projects/p/topics/äbc", "projects/p/subscriptions/abc", "projects/p/topics/abc\n", None, 7,
    ],
)  # fmt: skip
def test_bad_names_say_what_is_wrong(name: str) -> None:
    """A bad name is a ConfigError with parameter, value, rule and an example."""
    with pytest.raises(ConfigError) as caught:
        names.check_topic("output_topic", name)
    given = "output_topic" if name is None else f"output_topic={name!r}"
    assert str(caught.value).startswith(f"{given}: ")
    assert "projects/my-project/topics/my-topic" in str(caught.value)


def test_a_job_has_one_subscription_of_a_topic() -> None:
    """The same at each launch; another for another job, step or topic; always a valid name."""
    topic = "projects/my-project/topics/abc"
    name = names.job_subscription(topic, "a job: \u00e4" + "x" * 300, "Read")
    names.check_subscription("subscription", name)
    assert name == names.job_subscription(topic, "a job: \u00e4" + "x" * 300, "Read")
    others = [
        names.job_subscription(topic, "a job: \u00e4" + "x" * 301, "Read"),
        names.job_subscription(topic, "a job: \u00e4" + "x" * 300, "Read again"),
        names.job_subscription(topic + "d", "a job: \u00e4" + "x" * 300, "Read"),
    ]
    assert len({name, *others}) == 4


def test_temporary_subscription_is_new_and_valid() -> None:
    """It lies in the topic's project, keeps the rules, and is another each time."""
    name = names.temporary_subscription("projects/my-project/topics/abc")
    names.check_subscription("subscription", name)
    assert name.startswith("projects/my-project/")
    assert name != names.temporary_subscription("projects/my-project/topics/abc")
