"""Labels: what the service accepts and refuses."""

import pytest

from connectors.broker import limits
from connectors.broker.catalog import labels
from connectors.broker.errors import InvalidArgument


@pytest.mark.parametrize("good", [
    {}, {"a": ""}, {"a-b_9": "9-_a"}, {"é": "ü"}, {"鍵": "値٣"}, {"a" * 63: "b" * 63},
    {f"k{number}": "v" for number in range(limits.LABELS_MAX)},
])  # fmt: skip
def test_good_labels_pass(good: dict[str, str]) -> None:
    """Lower-case letters of any script, digits, _ and -; 63 characters; 64 labels."""
    assert labels.checked(good) == good


@pytest.mark.parametrize(("bad", "sentence"), [
    ({"": "v"}, r"labels \(''\): a key starts with a lower-case letter"),
    ({"A": "v"}, r"labels \('A'\): a key starts"),
    ({"aB": "v"}, "a key starts"),
    ({"9a": "v"}, "a key starts"),
    ({"٣a": "v"}, "a key starts"),
    ({"-a": "v"}, "a key starts"),
    ({"a.b": "v"}, "a key starts"),
    ({"a" * 64: "v"}, "at most 63 lower-case letters"),
    ({"a": "V"}, r"labels\['a'\] \('V'\): a value has at most 63"),
    ({"a": "b c"}, "a value has"),
    ({"a": "b" * 64}, "a value has"),
    ({f"k{number}": "" for number in range(65)}, "65 given.*at most 64"),
])  # fmt: skip
def test_bad_labels_are_refused(bad: dict[str, str], sentence: str) -> None:
    """The sentence names key, value and rule; a good label beside it does not help."""
    with pytest.raises(InvalidArgument, match=sentence):
        labels.checked({"good": "value", **bad} if len(bad) == 1 else bad)
