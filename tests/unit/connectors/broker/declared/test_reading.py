"""Declarations in a file."""

from pathlib import Path

import pytest

from connectors.broker.declared.reading import Declaration, declared_in
from connectors.broker.errors import BadFile

T = "projects/p/topics/orders"


def declared(tmp_path: Path, text: str) -> list[Declaration]:
    path = tmp_path / "topics.yaml"
    path.write_text(text)
    return declared_in(path)


def test_resources_are_those_of_the_api(tmp_path: Path) -> None:
    """In camelCase or snake_case; what others need comes first."""
    found = declared(
        tmp_path,
        f"subscriptions:\n- name: projects/p/subscriptions/abc\n  topic: {T}\n"
        "  ackDeadlineSeconds: 20\n  message_retention_duration: 600s\n"
        f"topics:\n- name: {T}\n  labels: {{a: b}}\n"
        "schemas:\n- name: projects/p/schemas/abc\n  type: AVRO\n  definition: '{}'\n",
    )
    assert [each.kind for each in found] == ["schemas", "topics", "subscriptions"]
    subscription = found[2]
    assert subscription.resource.ack_deadline_seconds == 20
    assert subscription.resource.message_retention_duration.seconds == 600
    assert subscription.lines == {
        "name": 2, "topic": 3, "ack_deadline_seconds": 4, "message_retention_duration": 5,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "topics:\n", "topics: []\n", "{}"])
def test_nothing_may_be_declared(tmp_path: Path, text: str) -> None:
    """An empty file is no fault."""
    assert declared(tmp_path, text) == []


@pytest.mark.parametrize(("text", "line", "says"), [
    ("- a", 1, "must be an object"), ("snapshots: []", 1, "snapshots is not one of schemas"),
    ("\ntopics: abc", 2, "must be a list"), ("topics:\n- abc", 2, "must be an object"),
    (f"topics:\n- name: {T}\n  foo: 1", 3, "foo"), (f"topics:\n- name: {T}\n  labels: 5", 3, "lab"),
    (f"topics:\n- name: {T}\n  labels:\n    a: 5", 3, "labels"),
    ("topics:\n- labels: {}", 2, "name"), ("topics:\n- labels: {}\n  name: orders", 3, "projects"),
    (f"topics:\n- name: {T}\n- name: {T}", 3, "declared twice; first in line 2"),
    (f"topics:\n- name: {T}\n  kmsKeyName: a\n  kms_key_name: b", 4, "given twice"),
])  # fmt: skip
def test_bad_declarations_are_refused_at_their_line(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    """The text names the file, the line and the rule."""
    with pytest.raises(BadFile, match=rf"topics\.yaml:{line}: .*{says}"):
        declared(tmp_path, text)
