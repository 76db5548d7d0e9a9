"""Google's templates from Pub/Sub to files on Cloud Storage, and ours in their place."""

from __future__ import annotations

from pipelines.params import ConfigError
from templates.google.conversions import INPUT, beside, dead_letters, input_of, window
from templates.google.dates import DIRECTORY, PATTERNS, folders
from templates.google.declared import (
    Equivalent,
    Need,
    Parameter,
    Rule,
    Taken,
    Unneeded,
    Values,
    named,
)

__all__ = ["EQUIVALENTS"]

_OURS = "pubsub_to_storage"
_FOLDERS = Taken(
    (Parameter(DIRECTORY), *PATTERNS), ("output", "folders"), folders,
    "the part with dates becomes folders, by the start of the window; Google's are by its end",
)  # fmt: skip


def _no_folders(values: Values) -> None:
    """Names of files are ours, but a folder is where readers look for them."""
    for name in ("outputFilenamePrefix", "outputShardTemplate", "outputFilenameSuffix"):
        if "/" in values[name]:
            raise ConfigError(name, values[name], "makes folders", "Put them into outputDirectory")


def _names(ending: str) -> Unneeded:
    return Unneeded(
        named(
            "outputFilenameSuffix", outputFilenamePrefix="output",
            outputShardTemplate="W-P-SS-of-NN",
        ),
        f"names of files are ours: they tell window, pane and shard, and end in {ending}; a / in "
        "it is refused",
        _no_folders,
    )  # fmt: skip


def _shards(values: Values) -> dict[str, str]:
    shards = values.count("numShards")
    return {"shards": shards} if shards else {}


_WINDOWS = (
    Taken(named(windowDuration="5m"), ("window",), window, "fixed:SIZE"),
    Taken(named(numShards="0"), ("shards",), _shards),
)
_FIXED = Need("window", "Google's template knows no other", lambda _: "fixed:5m")
_REJECTED = dead_letters(
    "Google's template has none, and loses them", beside("output"), "OUTPUT_dead_letters"
)


def _text(google: str, *rules: Rule, needs: tuple[Need, ...] = (), is_flex: bool) -> Equivalent:
    return Equivalent(
        google, _OURS,
        (
            *rules, _FOLDERS, _names(".jsonl"),
            Unneeded(named("userTempLocation"), "objects appear whole, without temporary ones"),
        ),
        (
            Need("format", "a line for each message", lambda _: "jsonl:none"),
            Need(
                "schema", "with it a line is the payload's row; without, the whole message, whose "
                "payload is in base64", example="schema.json", optional=True,
            ),
            *needs, _REJECTED,
        ),
        "Lines are JSON: rows with --schema, else whole messages. Late messages are kept.",
        is_flex=is_flex,
    )  # fmt: skip


def _avro(google: str, *rules: Rule, needs: tuple[Need, ...] = (), is_flex: bool) -> Equivalent:
    return Equivalent(
        google, _OURS,
        (
            *rules, _FOLDERS, _names(".avro"),
            Unneeded(named("avroTempDirectory"), "objects appear whole, without temporary ones"),
        ),
        (Need("format", "the same", lambda _: "avro"), *needs, _REJECTED),
        "Records have all of the message: data, attributes, message_id, publish_time, ordering_key "
        "and delivery_attempt; Google's have message, attributes and timestamp.",
        is_flex=is_flex,
    )  # fmt: skip


_TOPIC = input_of(topic="inputTopic")

EQUIVALENTS = (
    _text("Cloud_PubSub_to_GCS_Text_Flex", INPUT, *_WINDOWS, is_flex=True),
    _text("Cloud_PubSub_to_GCS_Text", _TOPIC, needs=(_FIXED,), is_flex=False),
    _avro("Cloud_PubSub_to_Avro_Flex", INPUT, *_WINDOWS, is_flex=True),
    _avro("Cloud_PubSub_to_Avro", _TOPIC, needs=(_FIXED,), is_flex=False),
)
