"""Whatever flag is wrong, the error names it as it was typed, once, and nothing is started."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from connectors.broker import Broker
from pipelines import launch
from pipelines.params import specs
from tests.commands import PIPELINES, command, module_of
from tests.topics import create
from transforms.failure import FAILURE_SCHEMA
from transforms.message import MESSAGE_SCHEMA

WRONG: dict[str, list[str]] = {
    "N": ["0", "-1", "1.5", "many", ""],
    "NUMBER": ["0", "-1", "nan", "fast", ""],
    "DURATION": ["1x", "10", "-1s", "fixed:1s", ""],
    "TIME": ["yesterday", "2026-13-01", "2026-01-31T09:30:00", ""],
    "SUBSCRIPTION": [
        "flights",
        "projects/demo/topics/flights",
        "projects/demo/subscriptions/x",
        "",
    ],
    "TOPIC": ["flights", "projects/demo/subscriptions/flights", "projects/demo/topics/goog1", ""],
    "SUBSCRIPTION|TABLE|FOLDER": ["projects/demo/topics/dead", "s3://b/dead", ""],
    "TOPIC|TABLE|FOLDER": ["projects/demo/subscriptions/dead", "s3://bucket/dead", ""],
    "TABLE": ["flights", "a.b", "a.b.{c", ""],
    "FOLDER": ["s3://bucket/folder", "http://bucket", ""],
    "FILE": ["no/such/file.json", "/", "bad.json", "wrong.json", ""],
    "FIELD": ["nothing", "attributes:x", "message:nothing", ""],
    "FIELD[,FIELD]": ["nothing", "attributes:x", "message:nothing"],
    "WINDOW": ["fixed:1x", "1h/1m", "sliding:1m/1h", "session:", "hop:1h", ""],
    "TRIGGER": ["late", "early:", "early:1x", ""],
    "LEVELS": ["nothing", "week(departure)", "date(carrier)", "carrier,carrier"],
    "FORMAT[:CODEC]": ["csv", "avro:zip", ""],
    "TEMPLATE": ["%Q", "../up", "/root"],
    "CONDITION": ["carrier =", "nothing = 1", "attribute:kind > 5", ""],
    "MEASURES": ["count()", "n=median(dep_delay)", "n=sum(carrier)", "n=count(),n=count()", ""],
    "ATTRIBUTE": ["goog-id", "x" * 300, ""],
    "stop|dead": ["drop", ""],
    "[true|false]": ["yes", ""],
    "at_least_once|exactly_once": ["at_most_once", ""],
    "refuse|create": ["make", ""],
    "PART[,PART]": ["nothing"],
    "PARTITION": ["week(departure)", "day(", ""],
    "NAME[,NAME]": [],
    "NAME": [],
    "parquet|delta|iceberg": ["orc", ""],
    "FILE:FUNCTION": ["flights.py", "no/such/file.py:clean", "bad.json:clean", ""],
    "NAME=TOPIC|FOLDER[,...]": ["late", "1st=./odd", "late=s3://b/late", "late=a-b.c.d", "a=b,a=c"],
}
"""Texts that no flag of a kind may have, by the kind's name; of names any is right."""


class Case(NamedTuple):
    """A flag of a pipeline with a text that is wrong."""

    pipeline: str
    flag: str
    text: str


def cases() -> Iterator[Case]:
    """Yield every flag of every pipeline with every text that is wrong for it."""
    for pipeline in PIPELINES:
        for spec in specs(module_of(pipeline).Params):
            yield from (Case(pipeline, spec.flag, text) for text in WRONG[spec.kind.name])
        yield Case(pipeline, "--runner", "lokal")
        yield Case(pipeline, "--log_every", "often")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a broker on which what the commands name exists."""
    with Broker(data_dir=tmp_path_factory.mktemp("broker")) as running:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PUBSUB_EMULATOR_HOST", running.address)
            create("flights", "hourly", "dead")
        yield running.address


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> Path:
    """Work in a folder where the schema of the commands is."""
    demo = Path(launch.__file__).parent / "demo" / "flights.json"
    (tmp_path / "pipelines" / "demo").mkdir(parents=True)
    (tmp_path / "pipelines" / "demo" / "flights.json").write_bytes(demo.read_bytes())
    (tmp_path / "lake").mkdir()
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "wrong.json").write_text(json.dumps([{"name": "id", "type": "NOTHING"}]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server)
    return tmp_path


def instead_of(case: Case) -> set[str]:
    """Return the flags of a command that a case replaces: its own, and what excludes it."""
    excluded = {case.flag, "--dry_run"}
    for owner in module_of(case.pipeline).Params.__mro__:
        for rule in getattr(owner, "RULES", ()):
            flags = {f"--{name}" for name in rule.names}
            excluded |= flags if case.flag in flags else set()
    return excluded


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def complaint(module: ModuleType, argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is said about a command line that is refused."""
    assert launch.status(module, argv) == 2, shlex.join(argv)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    (error,) = re.findall(r"^error: .*", said, re.MULTILINE)
    return error


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case.flag}={case.text[:20]!r}")
def test_error_names_the_flag_as_typed(
    folder: Path, capsys: pytest.CaptureFixture[str], case: Case
) -> None:
    """Exit code 2, one message with the flag and what was typed, and no folder is made."""
    before = names(folder)
    given = [
        each for each in command(case.pipeline) if each.partition("=")[0] not in instead_of(case)
    ]
    error = complaint(module_of(case.pipeline), [*given, f"{case.flag}={case.text}"], capsys)
    assert error.startswith(f"error: {case.flag}"), error
    assert case.text[:100] in error
    assert names(folder) == before


@pytest.mark.parametrize("given", [[], ["--subscription", "--topic"]])
def test_error_about_a_choice_says_what_was_given(
    folder: Path, capsys: pytest.CaptureFixture[str], given: list[str]
) -> None:
    """None or both of two flags are refused by their names."""
    kept = [flag for flag in command("pubsub_to_lake") if not flag.startswith("--subscription")]
    more = [f"{flag}=projects/demo/{flag[2:]}s/flights" for flag in given]
    error = complaint(module_of("pubsub_to_lake"), [*kept, *more], capsys)
    assert error.startswith("error: --subscription or --topic: exactly one"), error
    assert ("and 2 were" if given else "and none was") in error


@pytest.mark.parametrize("state", ["a_file", "/proc/none", "gs://bucket/state"])
def test_unusable_state_folder_is_a_matter_of_its_flag(
    folder: Path, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    """Exit code 2, as the README says, and the flag is named."""
    (folder / "a_file").write_text("")
    argv = [*command("pubsub_to_lake"), "--runner=local", f"--state_dir={state}"]
    assert complaint(module_of("pubsub_to_lake"), argv, capsys).startswith("error: --state_dir=")


def test_unknown_runner_hears_of_the_local_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names that help here are told, and not the twelve that Beam has."""
    argv = [*command("pubsub_to_lake"), "--runner=lokal"]
    error = complaint(module_of("pubsub_to_lake"), argv, capsys)
    assert " local," in error
    assert "DataflowRunner" in error
    assert "KafkaStreams" not in error


@pytest.mark.parametrize(
    ("flag", "call"),
    [
        ("--subscription=projects/demo/subscriptions/gone", "create_subscription"),
        ("--topic=projects/demo/topics/gone", "create_topic"),
    ],
)
def test_what_is_missing_can_be_made_by_a_command(
    folder: Path, capsys: pytest.CaptureFixture[str], flag: str, call: str
) -> None:
    """The fix is a command for a shell, which makes what is missing."""
    kept = [each for each in command("pubsub_to_lake") if not each.startswith("--subscription")]
    argv = [*kept, flag, "--max_seconds=1s"]
    error = complaint(module_of("pubsub_to_lake"), argv, capsys)
    assert error.startswith(f"error: {flag.partition('=')[0]}=")
    found = re.search(r"python -c \"(.*)\"", error)
    assert found
    assert call in found[1]
    exec(found[1].replace("projects/PROJECT/topics/TOPIC", "projects/demo/topics/flights"), {})
    assert launch.status(module_of("pubsub_to_lake"), argv) == 0


CONTENTS = {
    "lake": pa.table({"carrier": ["UA"]}),
    "archive": MESSAGE_SCHEMA.empty_table(),
    "dead letters": FAILURE_SCHEMA.empty_table(),
}
LACKS = "rows.parquet lacks schema_version, pipeline, step"
WRONG_FOLDERS = {
    ("archive_replay", "lake"): ["rows.parquet holds rows, and no messages", "pubsub_to_storage"],
    ("archive_replay", "dead letters"): ["rows.parquet holds dead letters", "deadletter_replay"],
    ("archive_replay", "table"): ["no messages: it lacks data, attributes"],
    ("archive_replay", "lines"): ["rows.jsonl holds lines that are no messages", "`data`"],
    ("archive_replay", "avro"): ["rows.avro holds rows, and no messages: it lacks data"],
    ("archive_replay", "others"): ["no file of an archive (.avro"],
    ("deadletter_replay", "lake"): [LACKS, "--dead_letter names"],
    ("deadletter_replay", "archive"): [LACKS, "archive_replay"],
    ("deadletter_replay", "table"): ["holds no dead letters"],
    ("deadletter_replay", "lines"): ["no file of dead letters (*.parquet)"],
    ("lake_compact", "lines"): ["holds no Parquet file, but such as rows.jsonl"],
    ("lake_compact", "table"): ["is a table of Delta Lake", "optimize.compact()"],
}
"""What is told of a folder that holds something else than a pipeline reads."""


@pytest.fixture
def wrong_folder(folder: Path) -> Callable[[str], None]:
    """Fill ./lake with something."""

    def fill(content: str) -> None:
        lake = folder / "lake"
        match content:
            case "table":
                write_deltalake(lake, CONTENTS["lake"])
            case "lines":
                (lake / "rows.jsonl").write_text('{"carrier": "UA"}\n')
            case "avro":
                fields = [{"name": "carrier", "type": "string"}]
                with (lake / "rows.avro").open("wb") as file:
                    schema = {"type": "record", "name": "row", "fields": fields}
                    fastavro.writer(file, schema, [{"carrier": "UA"}])
            case "others":
                (lake / "rows.csv").write_text("carrier\nUA\n")
            case _:
                pq.write_table(CONTENTS[content], lake / "rows.parquet")

    return fill


@pytest.mark.parametrize(("pipeline", "content"), WRONG_FOLDERS)
def test_folder_of_another_kind_is_refused(
    wrong_folder: Callable[[str], None],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    pipeline: str,
    content: str,
) -> None:
    """Before anything starts, by its flag, with what it holds and what to give in its place."""
    wrong_folder(content)
    before = names(folder)
    flag = {"archive_replay": "--archive", "deadletter_replay": "--failures"}.get(
        pipeline, "--lake"
    )
    argv = [f"{flag}=./lake"]
    if flag != "--lake":
        argv += ["--output_topic=projects/demo/topics/flights", "--dead_letter=dead"]
    error = complaint(module_of(pipeline), argv, capsys)
    assert error.startswith(f"error: {flag}='./lake': "), error
    assert all(word in error for word in WRONG_FOLDERS[pipeline, content]), error
    assert names(folder) == before


def test_runner_that_can_not_do_it_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compaction is a bounded run, and the error names the flag that asks for another."""
    argv = ["--lake=./lake", "--runner=local", "--state_dir=./state"]
    before = names(folder)
    error = complaint(module_of("lake_compact"), argv, capsys)
    assert error.startswith("error: --runner")
    assert names(folder) == before
