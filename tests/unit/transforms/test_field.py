"""Field: where a value is found in a batch."""

import pyarrow as pa
import pytest

from tests.conftest import PUBLISHED, message_batch
from transforms.errors import ConfigError
from transforms.field import Field, Source, attribute, column, message
from transforms.message import attach_message

TYPED = attach_message(pa.RecordBatch.from_pydict({"n": [7, 8]}), message_batch([b"a", b"b"]))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("n", column("n")),
        ("column:n", column("n")),
        ("attribute:event_id", attribute("event_id")),
        ("attribute:a:b", attribute("a:b")),
        ("message:message_id", message("message_id")),
    ],
)
def test_text_names_a_field(text: str, field: Field) -> None:
    """Each form of the text is read as the field it names, and written so that it reads back."""
    assert Field.parse(text) == field
    assert Field.parse(str(field)) == field


@pytest.mark.parametrize("text", ["", ":", "attribute:", "header:x", "message:body"])
def test_bad_text_names_rule_and_fix(text: str) -> None:
    """A text that names no field is refused with the rule and an example."""
    with pytest.raises(ConfigError) as error:
        Field.parse(text)
    assert error.value.value == text
    assert error.value.fix


def test_values_come_from_columns_attributes_and_messages() -> None:
    """The same call finds values wherever they are, row for row."""
    assert column("n").of(TYPED).to_pylist() == [7, 8]
    assert attribute("key").of(TYPED).to_pylist() == ["k1", "k2"]
    assert message("publish_time").of(TYPED)[0].as_py() > PUBLISHED


def test_missing_attribute_is_null() -> None:
    """A message without the attribute yields null, not an error."""
    assert attribute("other").of(TYPED).to_pylist() == [None, None]


def test_sources_are_named_as_in_the_text() -> None:
    """The prefixes of the text form are the sources, no more and no less."""
    assert {source.value for source in Source} == {"column", "attribute", "message"}
