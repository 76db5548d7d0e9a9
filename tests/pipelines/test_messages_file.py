"""Messages of a file, published."""

from pathlib import Path

import pytest

from pipelines.messages_file import publish_lines
from tests import topics
from transforms.errors import ConfigError

TOPICS = ("lines",)
pytestmark = pytest.mark.usefixtures("broker")


def test_each_line_is_a_message(tmp_path: Path) -> None:
    """Byte for byte, in their order; empty lines are none."""
    path = tmp_path / "messages.jsonl"
    path.write_bytes(b'{"a": 1}\n\n{"a": "\xff"}\r\nlast')
    assert publish_lines(path, topics.topic("lines")) == 3
    found = [sent.data for sent in topics.take("lines")]
    assert found == [b'{"a": 1}', b'{"a": "\xff"}', b"last"]


def test_an_empty_file_publishes_nothing(tmp_path: Path) -> None:
    """And is no mistake."""
    path = tmp_path / "messages.jsonl"
    path.touch()
    assert publish_lines(path, topics.topic("lines")) == 0


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """By the flag that names it."""
    with pytest.raises(ConfigError, match="none': can't be read"):
        publish_lines(tmp_path / "none", topics.topic("lines"))
