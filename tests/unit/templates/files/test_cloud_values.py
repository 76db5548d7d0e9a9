"""Values that no worker of Dataflow could use are refused with file and line."""

from pathlib import Path

import pytest

from templates.catalogue import TEMPLATES, find
from templates.files.checking import Place, check
from templates.files.cloud_values import _HERE
from tests.commands import ROOT
from tests.examples import TEMPLATE_NAMES, at_home, in_the_cloud

CLOUD = Place(in_cloud=True, read_objects=False)


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of parameters are those of the current folder."""
    monkeypatch.chdir(ROOT)


def test_all_mistakes_of_a_file_for_this_machine() -> None:
    """Each path, and each parameter that Dataflow would ignore."""
    home = at_home("pubsub_to_lake")
    problems = [str(each) for each in check(find("pubsub_to_lake"), [home], place=CLOUD).problems]
    lines = home.read_text().splitlines()
    for name in ("schema", "output", "dead_letter", "max_seconds"):
        [number] = [n for n, line in enumerate(lines, 1) if line.startswith(f"{name}:")]
        assert any(each.startswith(f"{home}:{number}: {name}=") for each in problems)
    assert len(problems) == 4
    assert (
        "gcloud storage cp pipelines/demo/flights.json gs://my-bucket/flights.json" in problems[0]
    )
    assert "Write for example output: gs://" in problems[1]


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_examples_for_the_cloud_are_good(name: str) -> None:
    """And nothing was read to see it."""
    checked = check(find(name), in_the_cloud(name), place=CLOUD)
    assert checked.problems == ()
    assert set(checked.unread) <= {"schema"}
    assert set(checked.places) == set(checked.texts)


@pytest.mark.parametrize("text", ["dry_run: true", "max_messages: 5", "rate: 100", "speed: 2"])
def test_what_is_for_one_process_is_refused(tmp_path: Path, text: str) -> None:
    """With its line; switched off it is as if left out."""
    name = text.partition(":")[0]
    template = next(each for each in TEMPLATES if name in {one.name for one in each.parameters})
    over = tmp_path / "over.yaml"
    over.write_text(f"# one line\n{text}\n")
    checked = check(template, [*in_the_cloud(template.name), over], place=CLOUD)
    assert [each.name for each in checked.problems] == [f"{over}:2: {name}"]
    assert f"write {name}: null" in checked.problems[0].fix
    over.write_text("dry_run: false\n" if name == "dry_run" else f"{name}: null\n")
    assert not check(template, [*in_the_cloud(template.name), over], place=CLOUD).problems


def test_a_function_is_within_a_file(tmp_path: Path) -> None:
    """The file is what is copied, and the object is not read."""
    over = tmp_path / "over.yaml"
    over.write_text("udf: mine/f.py:change\n")
    template, files = find("pubsub_to_pubsub"), in_the_cloud("pubsub_to_pubsub")
    [problem] = check(template, [*files, over], place=CLOUD).problems
    assert problem.fix == (
        "Copy it: gcloud storage cp mine/f.py gs://my-bucket/f.py; then write "
        "udf: gs://my-bucket/f.py:change"
    )
    over.write_text("udf: gs://my-bucket/f.py:change\n")
    checked = check(template, [*files, over], place=CLOUD)
    assert checked.problems == ()
    assert set(checked.unread) == {"schema", "udf"}


def test_names_for_this_machine_exist() -> None:
    """One that is renamed is not forgotten here."""
    names = {spec.name for template in TEMPLATES for spec in template.parameters}
    assert set(_HERE) <= names
