"""A schema can be an object of Cloud Storage, where a worker in the cloud finds it."""

import pytest

from connectors.objects import ObjectStore
from pipelines import kinds
from transforms.errors import ConfigError

pytestmark = pytest.mark.integration


def test_a_schema_is_read_from_an_object(bucket: str) -> None:
    """As from a file."""
    path = f"{bucket}/schemas/flights.json"
    ObjectStore().write(path, b'[{"name": "carrier", "type": "STRING"}]')
    assert kinds.SCHEMA_FILE.parse(path).names == ["carrier"]


@pytest.mark.parametrize(
    ("content", "rule"), [(None, "there is no such file"), (b"\xff", "can't be read")]
)
def test_an_object_that_is_no_schema_is_refused(
    bucket: str, content: bytes | None, rule: str
) -> None:
    """By its path, with what is wrong."""
    path = f"{bucket}/none.json"
    if content is not None:
        ObjectStore().write(path, content)
    with pytest.raises(ConfigError) as caught:
        kinds.SCHEMA_FILE.parse(path)
    assert caught.value.value == path
    assert caught.value.rule.startswith(rule)
