"""The catalogue: every pipeline that is a template, and what its Params can't say.

All else, the parameters with their rules, help and examples, is derived from the Params class.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

from pipelines.params import ConfigError, Spec, specs

__all__ = ["TEMPLATES", "Template", "find"]

STREAMING, UTILITIES, BATCH = "Process data continuously", "Utilities", "Process data in bulk"
"""Categories of Google's own catalogue."""

_INPUT = "The input subscription, or topic, exists."
_DEAD = "What --dead_letter names exists: the bucket, the topic, or the table's dataset."


@dataclass(frozen=True)
class Template:
    """A pipeline with a name under which it is launched.

    Attributes:
        name: of the module in ``pipelines``, and of the folder of what is generated.
        title: for people, in the style of Google's catalogue.
        public_name: the same as an identifier, in that style.
        category: under which it is listed.
        requirements: what must be there before it starts.
        streaming: whether it goes on without end.
        at_least_once: whether its promises hold in Dataflow's at-least-once mode, in which a step
            may see a row twice.
        example: stem of its files in ``examples``; by default its name.
    """

    name: str
    title: str
    public_name: str
    category: str
    requirements: tuple[str, ...]
    streaming: bool = True
    at_least_once: bool = False
    example: str = ""

    @property
    def examples(self) -> tuple[str, str]:
        """Parameters that work on this machine, and names of the cloud to lie above them."""
        stem = f"examples/{self.example or self.name}"
        return f"{stem}.yaml", f"{stem}.dataflow.yaml"

    @cached_property
    def module(self) -> ModuleType:
        """The module of the pipeline; the first look at it takes the time of importing Beam."""
        return importlib.import_module(f"pipelines.{self.name}")

    @property
    def params(self) -> type:
        """Its Params class."""
        params: type = self.module.Params
        return params

    @property
    def may_stream(self) -> bool:
        """Whether a job of it can go on without end: one that reads a subscription does."""
        examples = (each for spec in self.parameters for each in spec.examples)
        return self.streaming or any("/subscriptions/" in each for each in examples)

    @property
    def parameters(self) -> list[Spec]:
        """Its parameters as declared."""
        return specs(self.params)

    @property
    def about(self) -> str:
        """What it does: the docstring of its module."""
        return inspect.cleandoc(self.module.__doc__ or "")

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return self.about.splitlines()[0]

    @property
    def description(self) -> str:
        """What it does, in the paragraphs before the first command, without line ends."""
        before = self.about.partition("\n\n    ")[0]
        paragraphs = [" ".join(part.split()) for part in before.split("\n\n")]
        complete = [part for part in paragraphs if part.endswith(".")]
        return " ".join(complete or paragraphs[:1])


TEMPLATES = (
    Template(
        "archive_replay", "Pub/Sub archive on Cloud Storage to Pub/Sub",
        "Archive_to_PubSub", BATCH,
        ("The archive was written by pubsub_to_storage.", "The output topic exists.", _DEAD),
        streaming=False, at_least_once=True,
    ),
    Template(
        "deadletter_replay", "Dead letters to Pub/Sub",
        "Dead_Letters_to_PubSub", UTILITIES,
        ("The dead letters were written by another template.", "The output topic exists.", _DEAD),
        streaming=False, at_least_once=True,
    ),
    Template(
        "lake_compact", "Compaction of a Parquet lake",
        "Lake_Compaction", UTILITIES,
        ("The lake was written by pubsub_to_lake or pubsub_aggregate.",),
        streaming=False,
    ),
    Template(
        "pubsub_aggregate", "Pub/Sub to windowed aggregates",
        "PubSub_to_Aggregates", STREAMING,
        (_INPUT, "The output bucket, topic or dataset exists.", _DEAD),
    ),
    Template(
        "pubsub_to_bigquery", "Pub/Sub to BigQuery",
        "PubSub_to_BigQuery", STREAMING,
        (_INPUT, "The dataset exists, and the table, unless --if_missing=create.", _DEAD),
        at_least_once=True,
    ),
    Template(
        "pubsub_to_lake", "Pub/Sub to a Parquet lake, Delta Lake or Apache Iceberg",
        "PubSub_to_Lake", STREAMING,
        (_INPUT, "The bucket of the lake exists.", _DEAD),
        example="flights",
    ),
    Template(
        "pubsub_to_pubsub", "Pub/Sub to Pub/Sub",
        "PubSub_to_PubSub", STREAMING,
        (_INPUT, "The output topics exist.", _DEAD),
        at_least_once=True,
    ),
    Template(
        "pubsub_to_storage", "Pub/Sub to files on Cloud Storage",
        "PubSub_to_Cloud_Storage", STREAMING,
        (_INPUT, "The output bucket exists.", _DEAD),
    ),
)  # fmt: skip


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def find(name: str) -> Template:
    """Return a template by its name, with ``-`` or ``_`` and in any case, or its public name.

    Raises:
        ConfigError: there is none.
    """
    names = {_plain(each): one for one in TEMPLATES for each in (one.name, one.public_name)}
    if _plain(name) in names:
        return names[_plain(name)]
    close = difflib.get_close_matches(_plain(name), names, n=1)
    fix = f"Did you mean {names[close[0]].name}?" if close else "See: python -m templates list"
    raise ConfigError("template", name, "there is no template of that name", fix)
