"""Google's templates that write to Pub/Sub, and ours in their place."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.params import ConfigError
from templates.google.conversions import dead_letters, input_of
from templates.google.declared import (
    Equivalent,
    Need,
    Refused,
    Taken,
    Unneeded,
    Values,
    named,
    renamed,
)

__all__ = ["EQUIVALENTS"]

_PLAIN = re.compile(r"[\w @:,;=!<>&~/\"'-]*")
"""Texts that are no more than themselves as a regular expression."""
_KEEPS = dead_letters("what can't be published goes there; Google's template fails instead")


def _where(values: Values) -> dict[str, str]:
    key = values["filterKey"]
    if not key:
        return {}
    field = f"attribute:{key}" if re.fullmatch(r"[A-Za-z_][\w.-]*", key, re.ASCII) else _back(key)
    if not values.is_given("filterValue"):
        return {"where": f"{field} IS NULL"}
    pattern = values["filterValue"]
    if _PLAIN.fullmatch(pattern):
        return {"where": f"{field} = {_quoted(pattern)}"}
    whole = f"^(?:{pattern})$"
    try:
        pc.match_substring_regex(pa.array([""]), whole)
    except pa.ArrowInvalid as error:
        raise ConfigError(
            "filterValue", pattern, f"is no regular expression of RE2 ({error})",
            "Write it without look-around and references to groups",
        ) from error  # fmt: skip
    return {"where": f"matches({field}, {_quoted(whole)})"}


def _back(key: str) -> str:
    if "`" in key:
        raise ConfigError(
            "filterKey", key, "has a backquote, which --where can't name",
            "Filter in a function: --udf=FILE.py:FUNCTION",
        )  # fmt: skip
    return f"attribute:`{key}`"


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


_FILTER = Taken(
    named("filterKey", "filterValue"), ("where",), _where,
    'attribute:KEY = "VALUE", or matches(attribute:KEY, "^(?:VALUE)$") for an expression',
)  # fmt: skip
_AS_IT_CAME = "each message goes out as it came, byte for byte, with all its attributes"

_ARCHIVES = "archives of pubsub_to_storage are read, whole messages; lines of text are not"
_TEXT = Refused(
    named("inputFilePattern"), _ARCHIVES,
    "Keep messages with pubsub_to_storage, and give its folder as --archive",
)  # fmt: skip


def _lines(google: str, differs: str) -> Equivalent:
    return Equivalent(
        google, "archive_replay", (_TEXT, renamed("outputTopic", "output_topic")),
        (Need("archive", "the folder of pubsub_to_storage", example="gs://my-bucket/archive"),
         _KEEPS),
        differs, is_flex=False,
    )  # fmt: skip


EQUIVALENTS = (
    Equivalent(
        "Cloud_PubSub_to_Cloud_PubSub", "pubsub_to_pubsub",
        (
            input_of(subscription="inputSubscription"), renamed("outputTopic", "output_topic"),
            _FILTER,
        ),
        (_KEEPS,),
        "Any condition on attributes and columns, and topics by attribute.", is_flex=False,
    ),
    Equivalent(
        "PubSub_Subscription_to_PubSub_Topic_Yaml", "pubsub_to_pubsub",
        (
            input_of(subscription="subscription"), renamed("outputTopic", "output_topic"),
            Unneeded(
                named(
                    "schema", "outputSchema", "attributes", "attributesMap", "outputAttributes",
                    "outputAttributesMap", format="JSON",
                ),
                _AS_IT_CAME,
            ),
            Refused(
                named(outputFormat="JSON"), _AS_IT_CAME,
                "Change payloads in a function: --udf=FILE.py:FUNCTION", ("RAW", "STRING"),
            ),
            Refused(
                named("idAttribute"), "repeated messages are not dropped on the way",
                "Drop them where they are read, as pubsub_to_bigquery and pubsub_to_lake do",
            ),
            Unneeded(named("timestampAttribute"), "messages are in no windows"),
            renamed("outputIdAttribute", "id_attribute", "the id of the message that was read"),
            Refused(
                named("outputTimestampAttribute"), "no attribute with the time is added",
                "Readers have the publish time, or add it in --udf=FILE.py:FUNCTION",
            ),
        ),
        (_KEEPS,),
        "Messages are not parsed and written anew.",
    ),
    _lines("GCS_Text_to_Cloud_PubSub", "A replay has attributes, order, and a rate or speed."),
    _lines("Stream_GCS_Text_to_Cloud_PubSub", "It ends; objects that come later are not read."),
)  # fmt: skip
