"""The file that is written: each value is read again as it was."""

import os
from pathlib import Path

import pytest

from pipelines.params import Spec
from templates.catalogue import find
from templates.files.parameter_file import read, typed_text
from templates.files.references import resolved
from templates.google.importing import imported
from templates.google.job import Given, Job, escaped
from templates.google.written import TODO, file_text, scalar

SPECS = {spec.name: spec for spec in find("pubsub_to_pubsub").parameters}
TEXTS = [
    "", " ", "a, b", "it's \"so\"", "ünï ✓ 😀", "true", "null", "~", "007", "-1.5e3", "a: b", "a:",
    "a #b", "#a", "- a", "[a]", "{a}", "%Y/%m", "@a", "`a`", "|", ">", "*a", "&a", "!a", "\\", "\t",
    "one\n two", "\x7f\x85\u2028\ufeff", "C:\\x", "gs://b/a%20b", "${x}", "$${x}", "$x", "'", '"',
    "2026-01-31", "0x1f", "yes", ".5", "a" * 200, " lead", "trail ", "---", "...", "?", "? a",
]  # fmt: skip


def spec(kind: str) -> Spec:
    return next(each for each in SPECS.values() if each.kind.type == kind)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_as_it_was_written(text: str, tmp_path: Path) -> None:
    """Whatever it has, and no part of it is taken for a reference."""
    one = spec("string")
    path = tmp_path / "params.yaml"
    path.write_text(f"a: {scalar(one, escaped(text))}\nb: 1\n", encoding="utf-8")
    given = read(path)
    assert resolved(typed_text(one, given["a"]), environment={}).text == text
    assert given["b"].line == 2


@pytest.mark.parametrize(("kind", "text"), [("integer", "5"), ("integer", "${env:N}")])
def test_numbers_have_no_quotes_and_references_do(kind: str, text: str, tmp_path: Path) -> None:
    """As a file of parameters wants them."""
    one = spec(kind)
    path = tmp_path / "params.yaml"
    path.write_text(f"a: {scalar(one, text)}\n")
    assert typed_text(one, read(path)["a"]) == text
    assert scalar(one, text) == (text if text == "5" else f'"{text}"')


def test_the_file_of_a_job(tmp_path: Path) -> None:
    """Old names in comments, what is open behind the sign, what was lost at the end."""
    given = {
        "inputSubscription": "projects/p/subscriptions/flights",
        "outputTopic": "projects/p/topics/out\n# TODO: evil: 1",
        "filterKey": "k", "filterValue": "(?=x)",
    }  # fmt: skip
    path = Path("job.yaml")
    job = Job(path, parameters={name: Given(text, path, 7) for name, text in given.items()})
    found = imported(job, "Cloud_PubSub_to_Cloud_PubSub")
    text = file_text(found, "job.yaml", tmp_path)
    assert text == (
        f"# yaml-language-server: $schema={_relative(tmp_path)}\n"
        "#\n"
        "# Parameters of pubsub_to_pubsub, from job.yaml: a job of Google's template\n"
        "# Cloud_PubSub_to_Cloud_PubSub. Any condition on attributes and columns, and topics by"
        " attribute.\n"
        "\n"
        "# inputSubscription=projects/p/subscriptions/flights\n"
        "subscription: projects/p/subscriptions/flights\n"
        "\n"
        "# outputTopic=projects/p/topics/out\\U0000000a# TODO: evil: 1\n"
        'output_topic: "projects/p/topics/out\\U0000000a# TODO: evil: 1"\n'
        "\n"
        "# what can't be published goes there; Google's template fails instead\n"
        f"{TODO}dead_letter: gs://my-bucket/dead_letters\n"
        "\n"
        "# Not carried over:\n"
        "# - job.yaml:7: filterValue='(?=x)': can't be carried over: is no regular expression of"
        " RE2 (Invalid\n"
        "# regular expression: invalid perl operator: (?=). Write it without look-around and"
        " references to\n"
        "# groups\n"
    )


def _relative(folder: Path) -> str:
    schema = Path(__file__).parents[4] / "templates/pubsub_to_pubsub/parameters.schema.json"
    return os.path.relpath(schema.resolve(), folder)
