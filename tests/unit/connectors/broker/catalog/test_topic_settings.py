"""Topics of the API to settings and back."""

from typing import Any

import pytest

from connectors.broker import schema
from connectors.broker.catalog import topic_settings
from connectors.broker.errors import InvalidArgument, Unsupported

NAME = "projects/p/topics/orders"
SCHEMA = {"schema": "projects/p/schemas/order", "encoding": 2, "first_revision_id": "0123abcd",
          "last_revision_id": "4567abcd"}  # fmt: skip


def topic(**fields: Any) -> Any:
    """Return a topic."""
    return schema.message("Topic")(**{"name": NAME, **fields})


@pytest.mark.parametrize("fields", [
    {},
    {"labels": {"a": "b"}},
    {"message_retention_duration": {"seconds": 600, "nanos": 500_000_000}},
    {"schema_settings": SCHEMA},
    {"schema_settings": {"schema": "projects/other/schemas/order", "encoding": 1}},
])  # fmt: skip
def test_topic_is_shown_as_it_was_given(fields: dict[str, Any]) -> None:
    """Each field survives the way to settings and back; the state is ACTIVE."""
    shown = topic_settings.show(topic_settings.read(topic(**fields)), lambda _: True)
    assert shown == topic(**fields, state=1)


def test_what_only_the_server_sets_is_ignored() -> None:
    """As the API says of these fields; an empty message asks for nothing."""
    wanted = topic(satisfies_pzs=True, state=2, message_storage_policy={},
                   ingestion_data_source_settings={})  # fmt: skip
    assert topic_settings.read(wanted) == topic_settings.read(topic())


def test_deleted_schema_is_shown_as_such() -> None:
    """The rest of the settings stays."""
    settings = topic_settings.read(topic(schema_settings=SCHEMA))
    shown = topic_settings.show(settings, lambda _: False)
    assert shown.schema_settings.schema == "_deleted-schema_"
    assert shown.schema_settings.encoding == 2


@pytest.mark.parametrize(("fields", "sentence"), [
    ({"name": "orders"}, r"name \('orders'\)"),
    ({"labels": {"A": "b"}}, "labels"),
    ({"message_retention_duration": {"seconds": 599}},
     r"message_retention_duration \(599 s\): must be 600 to 2678400 s"),
    ({"message_retention_duration": {"seconds": 31 * 86_400 + 1}}, "must be 600 to 2678400 s"),
    ({"message_retention_duration": {}}, "must be 600 to 2678400 s"),
    ({"schema_settings": {"encoding": 1}}, "schema_settings.schema"),
    ({"schema_settings": {"schema": SCHEMA["schema"]}},
     r"encoding \(ENCODING_UNSPECIFIED\): must be JSON or BINARY"),
    ({"schema_settings": {"schema": SCHEMA["schema"], "encoding": 7}}, r"encoding \(7\)"),
])  # fmt: skip
def test_bad_topics_are_refused(fields: dict[str, Any], sentence: str) -> None:
    """The sentence names field, value and rule."""
    with pytest.raises(InvalidArgument, match=sentence):
        topic_settings.read(topic(**fields))


@pytest.mark.parametrize("fields", [
    {"message_storage_policy": {"allowed_persistence_regions": ["europe-west1"]}},
    {"kms_key_name": "projects/p/locations/l/keyRings/r/cryptoKeys/k"},
    {"ingestion_data_source_settings": {"cloud_storage": {"bucket": "b"}}},
    {"ingestion_data_source_settings": {"platform_logs_settings": {"severity": 1}}},
    {"tags": {"1/env": "prod"}},
])  # fmt: skip
def test_what_can_not_act_is_refused(fields: dict[str, Any]) -> None:
    """By name, with a reason."""
    (field,) = fields
    with pytest.raises(Unsupported, match=f"^{field} is not supported: "):
        topic_settings.read(topic(**fields))
