"""Labels: the rule and its check (https://cloud.google.com/pubsub/docs/labels#requirements)."""

from __future__ import annotations

from collections.abc import Mapping
from unicodedata import category

from connectors.broker import limits
from connectors.broker.errors import InvalidArgument

__all__ = ["checked"]

_LETTERS = frozenset({"Ll", "Lo"})  # lower-case letters, and those of scripts without case
_INSIDE = _LETTERS | {"Nd", "Nl", "No"}  # and digits


def checked(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels that the service would accept.

    Raises:
        InvalidArgument: too many, or a key or value that breaks the rule.
    """
    if len(labels) > limits.LABELS_MAX:
        raise InvalidArgument(
            "labels", f"{len(labels)} given", f"at most {limits.LABELS_MAX} on a resource"
        )
    for key, value in labels.items():
        if not key or category(key[0]) not in _LETTERS or not _allowed(key):
            raise InvalidArgument(
                "labels", repr(key),
                "a key starts with a lower-case letter and has at most"
                f" {limits.LABEL_CHARACTERS_MAX} lower-case letters, digits, _ or -",
            )  # fmt: skip
        if not _allowed(value):
            raise InvalidArgument(
                f"labels[{key!r}]", repr(value),
                f"a value has at most {limits.LABEL_CHARACTERS_MAX} lower-case letters, digits,"
                " _ or -",
            )  # fmt: skip
    return dict(labels)


def _allowed(text: str) -> bool:
    return len(text) <= limits.LABEL_CHARACTERS_MAX and all(
        character in "_-" or category(character) in _INSIDE for character in text
    )
