"""What the text of a parameter may be: the one place that flags, files and metadata ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Kind"]


@dataclass(frozen=True)
class Kind:
    """What a flag's text may be: ``parse`` returns the value or raises ConfigError.

    Attributes:
        name: how the help writes the value.
        parse: judges; what follows only describes, for those who can't call it.
        implied: the text of a flag that stands alone, for one that switches something on.
        type: ``string``, ``integer``, ``number`` or ``boolean``: how a file of parameters has it.
        pattern: matches every text that ``parse`` takes, and perhaps more; a POSIX extended regular
            expression with both anchors. Empty for none.
        cloud_pattern: the same, where a job in the cloud can use less than one on this machine.
        choices: all texts that there are, if they can be counted.
        separator: between the parts of a list, empty if it is none.
        reads_file: whether the text names a file, or an object, that ``parse`` reads.
        resource: what of Google's it names, as a parameter type of Dataflow: ``PUBSUB_TOPIC``.
    """

    name: str
    parse: Callable[[str], Any]
    implied: str | None = None
    type: str = "string"
    pattern: str = ""
    cloud_pattern: str = ""
    choices: tuple[str, ...] = ()
    separator: str = ""
    resource: str = ""
    reads_file: bool = False
