"""What becomes of a job: every template's full set of parameters, and what is lost."""

from pathlib import Path

import pytest

from pipelines.params import ConfigError
from templates.files.checking import check
from templates.google.declared import Equivalent
from templates.google.equivalents import EQUIVALENTS, find
from templates.google.importing import Imported, imported
from templates.google.job import Given, Job
from templates.google.written import TODO, file_text
from tests.google_templates import DEFAULTS, PUBLISHED, SAMPLES

SCHEMA = """[
  {"name": "name", "type": "STRING"}, {"name": "dataset", "type": "STRING"},
  {"name": "at", "type": "TIMESTAMP"}
]"""
OVERRIDES = {
    "PubSub_To_Iceberg_Yaml": {"table": "db.flights", "attributesMap": ""},
    "PubSub_CDC_to_BigQuery": {"outputTableSpec": "", "schemaFilePath": "schema.json"},
    "PubSub_to_BigQuery_Auto": {"bigQuerySchemaPath": "schema.json"},
}
_TOPICS = {"topic", "inputTopic"}
FILLED = {
    "schema": "schema.json", "dead_letter": "./dead_letters", "archive": "./archive",
    "udf": "function.py:transform",
}  # fmt: skip
each_one = pytest.mark.parametrize("equivalent", EQUIVALENTS, ids=lambda each: each.google)


def job(parameters: dict[str, str], google: str = "", project: str | None = None) -> Job:
    path = Path("job.yaml")
    given = {name: Given(text, path, line) for line, (name, text) in enumerate(parameters.items())}
    template = Given(f"gs://b/latest/flex/{google}", path, 1) if google else None
    return Job(path, template, given, project=Given(project, path, 1) if project else None)


def result(google: str, /, **parameters: str) -> Imported:
    return imported(job(parameters, google))


def taken(google: str, /, **parameters: str) -> dict[str, str]:
    return {each.spec.name: each.text for each in result(google, **parameters).written}


def full(equivalent: Equivalent) -> dict[str, str]:
    """Return a value for each parameter that can be taken, and defaults for the others."""
    names = PUBLISHED[equivalent.google].split()
    values = {name: SAMPLES.get(name, DEFAULTS.get(name, "")) for name in names}
    if not {"subscription", "inputSubscription"} & set(names):
        values |= dict.fromkeys(_TOPICS & set(names), "projects/my-project/topics/flights")
    return values | OVERRIDES.get(equivalent.google, {})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files that parameters name lie in the current folder."""
    (tmp_path / "schema.json").write_text(SCHEMA)
    (tmp_path / "function.py").write_text("def transform(text: str) -> str:\n    return text\n")
    (tmp_path / "function.js").write_text("function transform(text) { return text; }\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(found: Imported, folder: Path) -> list[str]:
    """Return what the checks say of the file, once every line that is open was filled in."""
    lines = file_text(found, "job.yaml", folder).splitlines()
    for place, line in enumerate(lines):
        if line.startswith(TODO):
            name = line.removeprefix(TODO).partition(":")[0]
            lines[place] = f"{name}: {FILLED[name]}"
    path = folder / "params.yaml"
    path.write_text("\n".join(lines))
    return [str(each) for each in check(found.template, [path]).problems]


@each_one
def test_the_full_set_of_parameters_becomes_a_good_file(
    equivalent: Equivalent, folder: Path
) -> None:
    """Nothing is unknown, and what is open is all that the checks would miss."""
    found = imported(job(full(equivalent), project="my-project"), equivalent.google)
    lost = {error.name.partition(": ")[2] for error in found.lost}
    assert lost <= {"protoSchemaPath", "fullMessageName", "inputFilePattern", *(
        {"javascriptTextTransformGcsPath", "javascriptTextTransformFunctionName",
         "javascriptTextTransformReloadIntervalMinutes", "pythonExternalTextTransformGcsPath",
         "pythonExternalTextTransformFunctionName"} if "Proto" in equivalent.google else ()),
        *({"idAttribute"} if "PubSub_Topic_Yaml" in equivalent.google else ()),
    }  # fmt: skip
    assert problems(found, folder) == []


@each_one
def test_defaults_alone_become_a_good_file_too(equivalent: Equivalent, folder: Path) -> None:
    """With where to read and write, and nothing else."""
    needed = [
        *("inputSubscription", "subscription", "outputTableSpec", "outputTopic"),
        *("outputDirectory", "table", "triggeringFrequencySeconds", "catalogProperties"),
    ]
    values = {name: text for name, text in full(equivalent).items() if name in needed}
    if "CDC" in equivalent.google:
        values["outputTableSpec"] = "my-project:ds.flights"
    for name in _TOPICS & set(full(equivalent)):
        values[name] = full(equivalent)[name]
    found = imported(job(values, project="my-project"), equivalent.google)
    assert found.lost == []
    assert problems(found, folder) == []


def test_order_is_that_of_our_parameters() -> None:
    """Whatever the order of Google's."""
    found = result("Cloud_PubSub_to_Cloud_PubSub", outputTopic="projects/p/topics/out",
                   inputSubscription="projects/p/subscriptions/in", filterKey="k")  # fmt: skip
    assert [each.spec.name for each in found.written] == ["subscription", "output_topic", "where"]
    assert [each.spec.name for each in found.open] == ["dead_letter"]


@pytest.mark.parametrize(
    ("given", "semantics", "shards"),
    [
        ({}, None, None),
        ({"useStorageWriteApi": "false", "numStorageWriteApiStreams": "3"}, None, None),
        ({"useStorageWriteApi": "true"}, "exactly_once", None),
        ({"useStorageWriteApi": "TRUE", "numStorageWriteApiStreams": "3"}, "exactly_once", "3"),
        (
            {"useStorageWriteApi": "true", "useStorageWriteApiAtLeastOnce": "true"},
            "at_least_once", None,
        ),
    ],
)  # fmt: skip
def test_how_often_a_row_is_written(
    given: dict[str, str], semantics: str | None, shards: str | None
) -> None:
    """As Google's switches say together; the second counts only beside the first."""
    found = taken("PubSub_to_BigQuery_Flex", **given)
    assert found.get("semantics") == semantics
    assert found.get("shards") == shards


def test_at_least_once_mode_counts_above_the_switch() -> None:
    """As in Google's template, which then takes at-least-once of itself."""
    one = job({"useStorageWriteApi": "true"}, "PubSub_to_BigQuery_Flex")
    one.environment["streamingMode"] = Given("STREAMING_MODE_AT_LEAST_ONCE", one.path, 9)
    written = {each.spec.name: each.text for each in imported(one).written}
    assert written["semantics"] == "at_least_once"


@pytest.mark.parametrize(
    ("google", "given", "expected"),
    [
        ("PubSub_to_BigQuery_Flex", {"outputTableSpec": "p:d.t"},
         {"dead_letter": "p:d.t_dead_letters"}),
        ("PubSub_to_BigQuery_Auto", {}, {"if_missing": "create"}),
        ("PubSub_to_BigQuery_Auto", {"createDisposition": "CREATE_NEVER"},
         {"if_missing": "refuse"}),
        ("Cloud_PubSub_to_Avro_Flex", {}, {"window": "fixed:5m", "format": "avro"}),
        ("Cloud_PubSub_to_Avro", {}, {"window": "fixed:5m"}),
        ("Cloud_PubSub_to_GCS_Text_Flex", {"windowDuration": "1h", "numShards": "2"},
         {"window": "fixed:1h", "shards": "2", "format": "jsonl:none"}),
        ("PubSub_CDC_to_BigQuery", {"autoMapTables": "false"}, {"if_missing": "refuse"}),
        ("PubSub_To_Iceberg_Yaml", {"catalogName": "mine"}, {"catalog": "mine"}),
        ("PubSub_To_Iceberg_Yaml", {"partitionFields": "['hour(a)', 'b']"},
         {"partition_by": "hour(a),b"}),
        ("PubSub_To_Iceberg_Yaml", {"timestampAttribute": "at"}, {"event_time": "attribute:at"}),
    ],
)  # fmt: skip
def test_what_is_converted(google: str, given: dict[str, str], expected: dict[str, str]) -> None:
    """Values, and Google's defaults, which are written because ours are others."""
    found = taken(google, **given)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("google", "given", "name", "fix"),
    [
        ("Cloud_PubSub_to_Avro_Flex", {"windowDuration": "5 minutes"}, "windowDuration", "5m"),
        ("Cloud_PubSub_to_Avro_Flex", {"windowDuration": "5|"}, "windowDuration", "5m"),
        ("Cloud_PubSub_to_Avro_Flex", {"numShards": "x"}, "numShards", "5"),
        ("Cloud_PubSub_to_Avro_Flex", {"outputFilenamePrefix": "a/b-"}, "outputFilenamePrefix",
         "outputDirectory"),
        ("Cloud_PubSub_to_GCS_Text", {"outputFilenameSuffix": "/a"}, "outputFilenameSuffix",
         "outputDirectory"),
        ("PubSub_to_BigQuery_Flex", {"useStorageWriteApi": "yes"}, "useStorageWriteApi", "one of"),
        ("PubSub_to_BigQuery_Auto", {"writeDisposition": "WRITE_TRUNCATE"}, "writeDisposition",
         "Empty"),
        ("PubSub_to_BigQuery_Auto", {"createDisposition": "X"}, "createDisposition", "one of"),
        ("PubSub_To_Iceberg_Yaml", {"format": "AVRO"}, "format", "function"),
        ("PubSub_To_Iceberg_Yaml", {"catalogProperties": "x"}, "catalogProperties", "rest"),
        ("PubSub_To_Iceberg_Yaml", {"catalogProperties": '{"type": "hadoop"}'},
         "catalogProperties", "SQLite"),
        ("PubSub_To_Iceberg_Yaml", {"catalogProperties": '{"catalog-impl": "a.B"}'},
         "catalogProperties", "SQLite"),
        ("PubSub_To_Iceberg_Yaml", {"catalogProperties": '{"uri": "a,b"}'},
         "catalogProperties", ".pyiceberg.yaml"),
        ("PubSub_To_Iceberg_Yaml", {"partitionFields": '["bucket(id, 4)"]'}, "partitionFields",
         "Leave it out"),
        ("PubSub_To_Iceberg_Yaml", {"only": "a"}, "only", "--schema"),
        ("Cloud_PubSub_to_Cloud_PubSub", {"filterKey": "k", "filterValue": "(?=a)"},
         "filterValue", "look-around"),
        ("Cloud_PubSub_to_Cloud_PubSub", {"filterKey": "a`b"}, "filterKey", "--udf"),
    ],
)  # fmt: skip
def test_what_is_lost_is_told_with_a_fix(
    google: str, given: dict[str, str], name: str, fix: str
) -> None:
    """Each with its line, its value and what to do."""
    [error] = result(google, **given).lost
    assert error.name == f"job.yaml:{list(given).index(name)}: {name}"
    assert error.value == given[name]
    assert "can't be carried over" in error.rule
    assert fix in error.fix


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        ("kind", None, "attribute:kind IS NULL"),
        ("kind", "", 'attribute:kind = ""'),
        ("kind", "click", 'attribute:kind = "click"'),
        ("kind", 'a "b"', 'attribute:kind = "a \\"b\\""'),
        ("kind", "a.*|b\\d", 'matches(attribute:kind, "^(?:a.*|b\\\\d)$")'),
        ("two words", "ü", 'attribute:`two words` = "ü"'),
    ],
)
def test_the_filter_becomes_a_condition(key: str, value: str | None, where: str) -> None:
    """An expression must match the whole attribute, as in Google's template."""
    given = {"filterKey": key} | ({} if value is None else {"filterValue": value})
    assert taken("Cloud_PubSub_to_Cloud_PubSub", **given)["where"] == where


def test_both_inputs_are_one() -> None:
    """Of a YAML template, which demands a topic even of those who have a subscription."""
    both = {"topic": "projects/p/topics/t", "subscription": "projects/p/subscriptions/s"}
    found = taken("PubSub_To_BigQuery_Yaml", **both)
    assert found["subscription"] == both["subscription"]
    assert "topic" not in found


def test_parameters_that_nobody_knows_are_told() -> None:
    """With the one that was meant; options of the workers go where they belong."""
    one = job(
        {
            "inputSubscripton": "x",
            "maxNumWorkers": "5",
            "numWorkers": "2",
            "experiments": "a,streaming_mode_at_least_once",
            "useStorageWriteApi": "true",
        },
        "PubSub_to_BigQuery_Flex",
    )
    one.environment["numWorkers"] = Given("3", one.path, 9)
    found = imported(one)
    [error] = found.lost
    assert "Did you mean inputSubscription?" in error.fix
    assert {name: each.value for name, each in one.environment.items()} == {
        "maxWorkers": "5", "numWorkers": "3", "additionalExperiments": ["a"],
        "streamingMode": "STREAMING_MODE_AT_LEAST_ONCE",
    }  # fmt: skip
    assert {each.spec.name: each.text for each in found.written}["semantics"] == "at_least_once"


def test_what_was_not_filled_in_is_told() -> None:
    """In the commands of Google's pages each value is a name in angle brackets."""
    found = result("PubSub_to_BigQuery_Flex", outputDeadletterTable="<outputDeadletterTable>",
                   outputTableSpec="p:d.t")  # fmt: skip
    [error] = found.lost
    assert error.name == "job.yaml:0: outputDeadletterTable"
    assert "not filled in" in error.rule
    written = {each.spec.name: each.text for each in found.written}
    assert written["dead_letter"] == "p:d.t_dead_letters"


def test_what_is_left_out_has_a_reason() -> None:
    """At its place; what was empty was never there."""
    found = result(
        "Cloud_PubSub_to_Avro_Flex", avroTempDirectory="gs://b/t", outputFilenamePrefix="output",
        userTempLocation="", numShards="0",
    )  # fmt: skip
    told = {each.name: each.why for each in found.left}
    assert set(told) == {"avroTempDirectory", "outputFilenamePrefix", "numShards"}
    assert all(told.values())
    [error] = found.lost
    assert "userTempLocation" in error.name


def test_names_of_files_are_left_out() -> None:
    """Whatever they were: nothing of what is kept depends on them."""
    given = {"outputFilenamePrefix": "out-", "outputFilenameSuffix": ".csv",
             "outputShardTemplate": "W-P-SS-of-NN"}  # fmt: skip
    found = result("Cloud_PubSub_to_GCS_Text_Flex", **given)
    assert found.lost == []
    assert {each.name for each in found.left} == set(given)
    assert all("names of files are ours" in each.why for each in found.left)


def test_what_counts_with_others_alone_is_no_default() -> None:
    """Google's template reads it only if the others are given."""
    found = result(
        "PubSub_to_BigQuery_Flex", useStorageWriteApiAtLeastOnce="true", useStorageWriteApi="false"
    )
    told = {each.name: each.why for each in found.left}
    assert "counts with others alone" in told["useStorageWriteApiAtLeastOnce"]
    [default] = result("PubSub_to_BigQuery_Flex", useStorageWriteApi="false").left
    assert default.why == "Google's default is also ours"


def test_no_template_is_an_error() -> None:
    """And one that is given counts above the file's."""
    with pytest.raises(ConfigError, match="Give --template: PubSub_to_BigQuery_Flex or "):
        imported(job({}))
    with pytest.raises(ConfigError, match=r"Give --template: Cloud_PubSub_to_Cloud_PubSub$"):
        imported(job({"filterKey": "kind"}))
    found = imported(job({}, "Cloud_PubSub_to_Splunk"), "PubSub_to_BigQuery_Flex")
    assert found.equivalent == find("PubSub_to_BigQuery_Flex")
    with pytest.raises(ConfigError, match=r"job.yaml:1: template.*Splunk.*no sink"):
        imported(job({}, "Cloud_PubSub_to_Splunk"))
