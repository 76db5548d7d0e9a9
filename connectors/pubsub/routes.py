"""``Route``: the rule that says which topic a row goes to. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.pubsub import names
from connectors.pubsub.outgoing import Reason, Rows
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import Field
from transforms.lookup import look_up

__all__ = ["Destination", "Destinations", "Route", "Topics", "destinations"]

Topics: TypeAlias = Callable[[Batch], pa.Array]
"""Returns the full name of each row's topic, null for none."""

_PLACE = re.compile(r"\{([^{}]*)\}")


class Destination(NamedTuple):
    """A topic and the rows that go there, in order."""

    topic: str
    rows: Rows


class Destinations(NamedTuple):
    """Every row is in one destination, or refused with the reason."""

    topics: list[Destination]
    refused: dict[int, Reason]


@dataclass(frozen=True)
class Route:
    """A name with places in it: ``projects/p/topics/{attribute:kind}``.

    Between braces stands a field: a column, ``attribute:NAME`` or ``message:NAME``. Whatever is
    no text is written as Arrow writes it. A row without a value in one of the places has no topic.

    Raises:
        ConfigError: the braces are not in pairs, or hold no field.
    """

    template: str

    def __post_init__(self) -> None:
        literals, fields = self._parts()
        if not fields or any(brace in text for text in literals for brace in "{}"):
            raise ConfigError(
                "topic", self.template, "must hold fields in braces, each closed",
                "Write for example projects/my-project/topics/{attribute:kind}",
            )  # fmt: skip

    @property
    def fields(self) -> list[Field]:
        """The fields between the braces."""
        return self._parts()[1]

    def __call__(self, batch: Batch) -> pa.Array:
        """Return the topic of each row; null where a part has no value.

        Raises:
            ConfigError: the batch has no such column.
        """
        literals, fields = self._parts()
        values = [look_up("topic", field, batch).cast(pa.string()) for field in fields]
        parts: list[object] = [literals[0]]
        for value, literal in zip(values, literals[1:], strict=True):
            parts += [value, literal]
        return pc.binary_join_element_wise(*parts, "")

    def _parts(self) -> tuple[list[str], list[Field]]:
        """Return the texts around the fields, one more than there are fields, and the fields."""
        pieces = _PLACE.split(self.template)
        return pieces[::2], [Field.parse(text) for text in pieces[1::2]]

    def __str__(self) -> str:
        return self.template


def destinations(topics: pa.Array) -> Destinations:
    """Sort rows by topic, in the order in which topics first appear.

    A row whose topic is null, or against the rules of names, is refused.
    """
    encoded = topics.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    by_code = np.argsort(codes, kind="stable").astype(np.int64)
    found = Destinations([], {})
    for rows in np.split(by_code, np.flatnonzero(np.diff(codes[by_code])) + 1):
        if not len(rows):
            continue
        code = int(codes[rows[0]])
        topic = None if code < 0 else encoded.dictionary[code].as_py()
        reason = _fault(topic)
        if topic is None or reason is not None:
            found.refused.update(dict.fromkeys(rows.tolist(), reason))
        else:
            found.topics.append(Destination(topic, rows))
    return found


def _fault(topic: str | None) -> Reason | None:
    if topic is None:
        return "no_topic", "the rule gives no topic, because a field of it has no value"
    try:
        names.check_topic("topic", topic)
    except ConfigError as error:
        return "bad_topic_name", str(error)
    return None
