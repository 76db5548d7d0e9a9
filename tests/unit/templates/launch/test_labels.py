"""Labels by Google's rules."""

import pytest

from pipelines.params import ConfigError
from templates.launch.labels import labels


def test_good_labels() -> None:
    """Any script's letters, an empty value, and the longest that there may be."""
    given = {"team": "data", "a1_b-c": "", "größe": "12", "名前": "値", "k" * 63: "v" * 63}
    assert labels(f"{key}={value}" for key, value in given.items()) == given


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("team", "must be KEY=VALUE"),
        ("=data", "must be KEY=VALUE"),
        ("Team=data", "its key must begin with a lower-case letter"),
        ("1team=data", "its key must begin with a lower-case letter"),
        ("te.am=data", "its key has '.'"),
        ("team=Data", "its value has 'D'"),
        ("team=a b", "its value has ' '"),
        ("team=a=b", "its value has '='"),
        ("k" * 64 + "=v", "more than 63 characters"),
        ("k=" + "v" * 64, "more than 63 characters"),
        ("k=" + "値" * 43, "or 128 bytes"),
    ],
)
def test_what_google_refuses(text: str, rule: str) -> None:
    """It is said with the label and a fix."""
    with pytest.raises(ConfigError) as caught:
        labels([text])
    assert rule in caught.value.rule
    assert caught.value.value == text
    assert caught.value.fix


def test_too_many_and_twice_the_same() -> None:
    """64 of them, each once."""
    assert len(labels(f"k{number}=" for number in range(64))) == 64
    with pytest.raises(ConfigError, match="is given 65 times"):
        labels(f"k{number}=" for number in range(65))
    with pytest.raises(ConfigError, match="gives team a second time"):
        labels(["team=a", "team=b"])


@pytest.mark.parametrize("text", ["Team=Data Base", "1.a=X", "__=1", "a=b=c"])
def test_the_fix_is_one_that_would_pass(text: str) -> None:
    """Whoever copies it is done."""
    with pytest.raises(ConfigError) as caught:
        labels([text])
    assert labels([caught.value.fix.rpartition(" ")[2]])
