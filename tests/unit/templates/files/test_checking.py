"""Every mistake of a parameter file is told before anything starts, with file and line."""

from pathlib import Path

import pytest

from templates.catalogue import find
from templates.files.checking import Place, check
from tests.commands import ROOT

GOOD = {
    "subscription": "projects/demo/subscriptions/flights",
    "schema": "pipelines/demo/flights.json",
    "output": "./lake",
    "dead_letter": "./dead_letters",
}


class Vault:
    """One secret."""

    def read(self, name: str) -> str:
        """Return it, whatever its name."""
        assert name
        return "hidden value"


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of parameters are those of the current folder."""
    monkeypatch.chdir(ROOT)


def problems(tmp_path: Path, template: str = "pubsub_to_lake", **changes: str | None) -> list[str]:
    lines = {**GOOD, **changes}
    path = tmp_path / "f.yaml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in lines.items() if value))
    found = check(find(template), [path], environment={"SHARDS": "many"}).problems
    return [str(each).removeprefix(str(tmp_path) + "/") for each in found]


def test_good_parameters_are_texts_of_flags() -> None:
    """The example of the first page."""
    checked = check(find("pubsub_to_lake"), [Path("examples/flights.yaml")])
    assert checked.problems == ()
    assert checked.texts["partition_by"] == "date(departure)"
    assert checked.texts["max_seconds"] == "15s"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"windw": "1h"},
            "f.yaml:5: windw: is no parameter of pubsub_to_lake. Did you mean window?",
        ),
        (
            {"inputSubscription": "projects/p/subscriptions/flights"},
            (
                "f.yaml:5: inputSubscription: is no parameter of pubsub_to_lake. "
                "It is of a template of Google's: python -m templates import-google FILE"
            ),
        ),
        (
            {"window": "5x"},
            (
                "f.yaml:5: window='5x': must be a whole number and a unit: ms, s, m, h or d. "
                "Write for example 500ms, 30s, 5m, 1h or 1d"
            ),
        ),
        (
            {"output": None},
            "f.yaml: output: is required. Write for example output: ./lake",
        ),
        (
            {"topic": "projects/demo/topics/flights"},
            (
                "f.yaml:5: subscription or topic: exactly one of them must be given, and 2 were. "
                "Give either subscription or topic"
            ),
        ),
        (
            {"subscription": None},
            (
                "f.yaml: subscription or topic: exactly one of them must be given, and none was. "
                "Give either subscription or topic"
            ),
        ),
        (
            {"catalog": "mine"},
            (
                "f.yaml:5: catalog='mine': is for Iceberg tables alone. "
                "Leave it out, or give table_format=iceberg"
            ),
        ),
        (
            {"partition_by": "[date(arrival)]"},
            "f.yaml:5: partition_by='date(arrival)': names no column of schema. Use one of ",
        ),
        (
            {"output": "./dead_letters/lake"},
            "f.yaml:4: dead_letter='./dead_letters': is, holds or lies in output=",
        ),
        (
            {"schema": "none.json"},
            "f.yaml:2: schema='none.json': there is no such file. Give the path of a JSON file",
        ),
        (
            {"shards": "'${env:SHARDS}'"},
            "f.yaml:5: shards='many': must be a whole number above 0. Write for example 1",
        ),
        (
            {"output": "'${env:NONE}/x'"},
            (
                "f.yaml:3: output='${env:NONE}/x': ${env:NONE} names an environment variable that "
                "is not set. Set it: export NONE=..."
            ),
        ),
        (
            {"shards": "0"},
            "f.yaml:5: shards='0': must be a whole number above 0. Write for example 1",
        ),
        ({"dedup_horizon": "0s"}, "f.yaml:5: dedup_horizon='0s': must be at least 1ms. Write for"),
        ({"window": "0s"}, "f.yaml:5: window='0s': must be at least 1ms. Write for example 5m"),
        ({"table_format": "orc"}, "f.yaml:5: table_format='orc': must be parquet, delta or ice"),
        ({"shards": "two"}, "f.yaml:5: shards='two': is a text, and must be a number. Write it "),
    ],
)
def test_each_kind_of_mistake_has_file_line_rule_and_fix(
    tmp_path: Path, changes: dict[str, str | None], expected: str
) -> None:
    """One mistake gives one error."""
    found = problems(tmp_path, **changes)
    assert len(found) == 1
    assert found[0].startswith(expected), found[0]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """In the order of the file."""
    found = problems(tmp_path, window="5x", nonsense="1", shards="0", disorder="long")
    assert [each.split(": ")[0] for each in found] == [f"f.yaml:{line}" for line in (5, 6, 7, 8)]
    found = problems(tmp_path, window="5x", output=None, catalog="c", topic="${env:NONE}")
    names = ["window='5x'", "catalog='c'", "topic='${env:NONE}'", "subscription or topic", "output"]
    assert [each.split(": ")[1] for each in found] == names


def test_every_parameter_without_its_partner_is_told(tmp_path: Path) -> None:
    """Each name of each rule in the order of the file, then what the values contradict."""
    found = problems(
        tmp_path, commit_every="1m", catalog="c", udf_timeout="5s", add_columns="true",
        udf_outputs="late=./late", dead_letter="./lake/dead",
    )  # fmt: skip
    assert [each.split("=")[0] for each in found] == [
        "f.yaml:5: commit_every", "f.yaml:6: catalog", "f.yaml:7: udf_timeout",
        "f.yaml:8: add_columns", "f.yaml:9: udf_outputs", "f.yaml:4: dead_letter",
    ]  # fmt: skip


def test_a_line_has_one_error(tmp_path: Path) -> None:
    """A value that breaks its own rule, or whose partner does, breaks no rule between the two."""
    (error,) = problems(tmp_path, add_columns="maybe")
    assert error.startswith("f.yaml:5: add_columns='maybe': is a text, and must be true or false")
    (error,) = problems(tmp_path, table_format="icebrg", catalog="c")
    assert error.startswith("f.yaml:5: table_format='icebrg': must be parquet, delta or iceberg")


def test_no_parameters_miss_all_that_is_required(tmp_path: Path) -> None:
    """Each is named."""
    found = problems(tmp_path, **dict.fromkeys(GOOD))
    names = ("schema", "output", "dead_letter", "subscription or topic")
    assert [each.split(": ")[1] for each in found] == list(names)


def test_an_error_names_the_overlay_that_made_it(tmp_path: Path) -> None:
    """The line of the file that counts, not of the one below."""
    base, over = tmp_path / "base.yaml", tmp_path / "over.yaml"
    base.write_text("".join(f"{name}: {value}\n" for name, value in GOOD.items()))
    over.write_text("\nwindow: 5x\n")
    (error,) = check(find("pubsub_to_lake"), [base, over]).problems
    assert error.name == f"{over}:2: window"


def test_an_unread_secret_leaves_the_rest_to_be_checked(tmp_path: Path) -> None:
    """Its own value, and rules about values, wait until the job is run."""
    path = tmp_path / "f.yaml"
    lines = GOOD | {"catalog": "'${secret:projects/p/secrets/s}'", "table_format": "iceberg"}
    path.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
    checked = check(find("pubsub_to_lake"), [path])
    assert (checked.problems, checked.waiting) == ((), ("catalog",))
    path.write_text(path.read_text().replace("iceberg", "delta"))
    (error,) = check(find("pubsub_to_lake"), [path]).problems
    assert error.rule == "is for Iceberg tables alone"


def test_a_secret_is_in_no_error(tmp_path: Path) -> None:
    """An error about its value shows the reference."""
    path = tmp_path / "f.yaml"
    lines = GOOD | {"window": "'${secret:projects/p/secrets/s}'"}
    path.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
    (error,) = check(find("pubsub_to_lake"), [path], Vault()).problems
    assert "hidden" not in str(error)
    assert "window='${secret:projects/p/secrets/s}'" in str(error)


def test_a_secret_is_in_no_fix_and_no_rule_about_others(tmp_path: Path) -> None:
    """A fix may repeat the value, and a rule that of another parameter."""
    path = tmp_path / "f.yaml"
    lines = GOOD | {"schema": "'${secret:projects/p/secrets/s}'"}
    path.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
    found = check(find("pubsub_to_lake"), [path], Vault(), place=Place(in_cloud=True)).problems
    text = "".join(str(error) for error in found if "schema" in error.name)
    assert "gcloud storage cp the secret" in text
    assert "hidden" not in text
    lines = GOOD | {"dead_letter": "'${secret:projects/p/secrets/s}'", "output": "hidden value"}
    path.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
    (error,) = check(find("pubsub_to_lake"), [path], Vault()).problems
    assert "hidden" not in f"{error.rule} {error.fix}"
    assert "the secret" in error.rule
