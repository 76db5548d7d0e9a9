"""Refusing fields that can't act."""

import pytest

from connectors.broker import schema
from connectors.broker.catalog.unsupported import refuse
from connectors.broker.errors import Unsupported

REASONS = {"kms_key_name": "no keys", "ingestion_data_source_settings": "no source"}


def test_set_field_is_refused_with_its_reason() -> None:
    """By its name."""
    for topic in ({"kms_key_name": "k"},
                  {"ingestion_data_source_settings": {"aws_kinesis": {}}}):  # fmt: skip
        (field,) = topic
        with pytest.raises(Unsupported, match=f"{field} is not supported: {REASONS[field]}."):
            refuse(schema.message("Topic")(**topic), REASONS)


def test_empty_message_asks_for_nothing() -> None:
    """Nor does a field that is not named."""
    refuse(schema.message("Topic")(ingestion_data_source_settings={}, name="n"), REASONS)
