"""What is said about kinds agrees with what they do."""

import re

import pytest

from pipelines import kinds
from pipelines.kind import Kind
from transforms.errors import ConfigError

NAMED = {name: kind for name, kind in vars(kinds).items() if isinstance(kind, Kind)}

TAKEN = {
    "ATTRIBUTE": ["a", "source_message_id", "ünï"],
    "CATALOG": ["mine", "type=rest,uri=https://host"],
    "CONDITION": ['attribute:a = "x, y" AND n > 5'],
    "COUNT": ["1", "999999999999999"],
    "DEAD_LETTER": ["./a b", "projects/p/topics/abc", "my-project:d.t", "gs://bucket"],
    "DURATION": ["0s", "500ms", "999999999999d"],
    "SOME_TIME": ["1ms", "999999999999d"],
    "FAILURES": ["./a", "projects/p/subscriptions/abc", "my-project.d.t"],
    "FIELD": ["a", "attribute:a b", "message:message_id"],
    "FIELDS": ["a", "a, attribute:b"],
    "FILE_FORMAT": ["avro", "jsonl:zstd", "parquet:lz4"],
    "FOLDER": ["./a", "/", "gs://bucket", "gs://bucket/a b/c"],
    "FOLDER_TEMPLATE": ["", "%Y/%m", "dt=%Y-%m-%d"],
    "INPUT_FOLDER": ["./a", "gs://bucket/a"],
    "MEASURES": ["n=count()", "a = mean( b ), c=distinct(attribute:d)"],
    "MISSING": ["stop", "dead"],
    "MULTIPLE": ["1", "0.5", "1000"],
    "OPTIONAL_FIELDS": ["", "a,b"],
    "PARTITIONS": ["", "date(a),b", "day=date(a)"],
    "ROUTE": ["projects/p/topics/abc", "projects/p/topics/a-{attribute:b}"],
    "SCHEMA_FILE": ["pipelines/demo/flights.json"],
    "SUBSCRIPTION": ["projects/example.com:p/subscriptions/a~%+_.-1"],
    "SWITCH": ["true", "false"],
    "TABLE": ["p-1.d.t", "example.com:my-project.d.t", "my-project.d.{attribute:kind}"],
    "TABLE_FORMAT": ["parquet", "delta", "iceberg"],
    "TEXTS": ["", "a", "a, b"],
    "TIME": ["2026-01-31", "2026-01-31T09:30:00Z", "2026-01-31 09:30:00.5+01:00"],
    "TOPIC": ["projects/p/topics/abc", "projects/p/topics/A" + "b" * 254],
    "TRIGGER": ["at_watermark", "early:10s"],
    "WINDOW": ["1h", "fixed:1h", "sliding:1d/1h", "session:30m", "session:30m/a,attribute:b"],
}


@pytest.fixture(autouse=True)
def root(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named from the folder of the repository."""
    monkeypatch.chdir(pytestconfig.rootpath)


def test_every_kind_is_here() -> None:
    """A new one comes with texts that it takes."""
    assert sorted(NAMED) == sorted(TAKEN)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_pattern_lets_pass_what_the_kind_takes(name: str) -> None:
    """Who can only look at the pattern refuses nothing that we would take."""
    kind = NAMED[name]
    for text in [*TAKEN[name], *kind.choices]:
        kind.parse(text)
        assert re.search(kind.pattern, text), (kind.pattern, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("COUNT", "0"), ("COUNT", "1.5"), ("DURATION", "5"), ("SUBSCRIPTION", "topics/abc"),
        ("WINDOW", "hop:1h"), ("TRIGGER", "late"), ("SWITCH", "yes"), ("TABLE", "a.b"),
        ("TABLE_FORMAT", "orc"), ("MULTIPLE", "-1"), ("TIME", "yesterday"),
    ],
)  # fmt: skip
def test_a_pattern_refuses_what_is_plainly_wrong(name: str, text: str) -> None:
    """A console says so before a job is launched."""
    kind = NAMED[name]
    assert not re.search(kind.pattern, text)
    with pytest.raises(ConfigError):
        kind.parse(text)


def test_a_choice_names_what_there_is() -> None:
    """In its error."""
    with pytest.raises(ConfigError, match="must be stop or dead"):
        kinds.MISSING.parse("go")
