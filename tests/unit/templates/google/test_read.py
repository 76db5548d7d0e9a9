"""Each form of a file becomes the same job."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.params import ConfigError
from templates.google.job import Job, escaped
from templates.google.read import read

SPEC = "gs://dataflow-templates-europe-west1/latest/flex/PubSub_to_BigQuery_Flex"
TRICKY = {
    "outputTableSpec": "p:d.t",
    "inputTopic": "",
    "comma": "a,b=c",
    "quotes": 'it\'s "so"',
    "unicode": "ünï ✓ 😀",
    "switch": "true",
    "number": "007",
    "reference": "${env:HOME} $${x}",
    "null": "null",
    "lines": "one\n two",
}
FLAGS: dict[str, Any] = {
    "--template-file-gcs-location": SPEC, "--project": "p", "--region": "r", "--max-workers": 3,
    "--additional-experiments": "streaming_mode_at_least_once,b=c", "--parameters": TRICKY,
}  # fmt: skip
ENVIRONMENT: dict[str, Any] = {
    "maxWorkers": 3, "additionalExperiments": ["streaming_mode_at_least_once", "b=c"],
}  # fmt: skip
BLOCK: dict[str, Any] = {
    "container_spec_gcs_path": SPEC, "name": "j", "project": "p", "region": "r", "max_workers": 3,
    "additional_experiments": ["streaming_mode_at_least_once", "b=c"], "parameters": TRICKY,
    "on_delete": "drain",
}  # fmt: skip
RESOURCE = "google_dataflow_flex_template_job"


def terraform(content: dict[str, Any]) -> dict[str, Any]:
    """Return a file with a job; what looks like a reference is an expression there."""
    texts = {name: each for name, each in content["parameters"].items() if name != "reference"}
    return {"resource": {RESOURCE: {"job": content | {"parameters": texts}}}}


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    text = content if isinstance(content, str) else json.dumps(content)
    if name.endswith("yaml"):
        text = yaml.safe_dump(content, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return path


def check(job: Job, *, but: tuple[str, ...] = ()) -> None:
    values = {name: str(each.value) for name, each in job.parameters.items()}
    expected = {name: text.replace("${", "$${") for name, text in TRICKY.items() if name not in but}
    assert values == expected
    assert job.template is not None
    assert job.template.value == SPEC
    assert {name: str(each.value) for name, each in job.environment.items()} == {
        "maxWorkers": "3", "additionalExperiments": "['b=c']",
        "streamingMode": "STREAMING_MODE_AT_LEAST_ONCE",
    }  # fmt: skip
    assert job.is_at_least_once
    assert job.region is not None
    assert job.region.value == "r"


def test_a_file_of_flags(tmp_path: Path) -> None:
    """As a map, and as a list of maps, whose --parameters add up."""
    check(read(written(tmp_path, "flags.yaml", FLAGS)))
    head = {name: each for name, each in FLAGS.items() if name != "--parameters"}
    several = [head, *({"--parameters": {name: text}} for name, text in TRICKY.items())]
    check(read(written(tmp_path, "several.yaml", several)))


def test_flags_as_texts(tmp_path: Path) -> None:
    """A map may be written as on a command line, with a sign between its values."""
    flags = FLAGS | {"--parameters": "^;^" + ";".join(f"{k}={v}" for k, v in TRICKY.items())}
    check(read(written(tmp_path, "flags.yaml", flags)))


@pytest.mark.parametrize("location", [{}, {"location": "r"}])
def test_bodies_of_launches(tmp_path: Path, location: dict[str, str]) -> None:
    """Of Flex, and of classic templates, whose path may be there or in the address."""
    body = {
        "jobName": "j", "containerSpecGcsPath": SPEC, "parameters": TRICKY, "region": "r",
        "environment": ENVIRONMENT, "update": False,
    }  # fmt: skip
    check(read(written(tmp_path, "flex.json", {"launchParameter": body, "validateOnly": True})))
    del body["containerSpecGcsPath"]
    check(read(written(tmp_path, "classic.json", body | {"gcsPath": SPEC} | location)))


def test_terraform(tmp_path: Path) -> None:
    """A file with one job, also in the lists that some tools write, and the block alone."""
    name = "reference"
    whole = terraform(BLOCK)
    check(read(written(tmp_path, "job.tf.json", whole)), but=(name,))
    whole["resource"][RESOURCE]["job"] = [whole["resource"][RESOURCE]["job"]]
    check(read(written(tmp_path, "list.tf.json", whole)), but=(name,))
    check(read(written(tmp_path, "block.json", BLOCK)))


def test_terraforms_own_escape(tmp_path: Path) -> None:
    """Two signs stand for one, and that one is no reference of ours either."""
    content = terraform(BLOCK | {"parameters": {"a": "$${x}"}})
    job = read(written(tmp_path, "job.tf.json", content))
    assert job.parameters["a"].value == escaped("${x}")


@pytest.mark.parametrize("name", ["values", "planned_values"])
def test_what_terraform_shows(tmp_path: Path, name: str) -> None:
    """A state or a plan, with the job in a module, and what the provider adds of its own."""
    job = {"type": RESOURCE, "values": BLOCK | {"id": "1", "state": "x", "zone": None}}
    other = {"type": "google_project_service", "values": {"service": "dataflow"}}
    modules = {"root_module": {"child_modules": [{"resources": [other, job]}]}}
    check(read(written(tmp_path, "state.json", {"format_version": "1.0", name: modules})))
    assert "state" not in read(tmp_path / "state.json").environment


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_parameters_alone(tmp_path: Path, suffix: str) -> None:
    """Their lines are known; nothing else is."""
    job = read(written(tmp_path, f"parameters.{suffix}", TRICKY))
    assert list(job.parameters) == (sorted(TRICKY) if suffix == "yaml" else list(TRICKY))
    assert job.template is None
    assert job.environment == {}
    typed = read(written(tmp_path, "typed.yaml", {"a": True, "b": 7, "c": 1.5, "d": None}))
    assert {name: each.value for name, each in typed.parameters.items()} == {
        "a": "true", "b": "7", "c": "1.5",
    }  # fmt: skip


def script(separator: str = " ") -> str:
    """Return a command with each value in single quotes."""
    quoted = {name: text.replace("'", "'\\''") for name, text in TRICKY.items()}
    given = "".join(f" \\\n  --parameters '^;^{name}={text}'" for name, text in quoted.items())
    return (
        f"#!/bin/sh\nset -e\ngcloud beta dataflow flex-template run j --project{separator}p"
        f" --region={'r'} --template-file-gcs-location{separator}{SPEC} --max-workers=3"
        f" --additional-experiments=streaming_mode_at_least_once,b=c{given}\necho done\n"
    )


@pytest.mark.parametrize("separator", [" ", "="])
def test_a_script(tmp_path: Path, separator: str) -> None:
    """With gcloud's command among others; each parameter has its line."""
    job = read(written(tmp_path, "job.sh", script(separator)))
    check(job)
    assert job.name is not None
    assert job.name.value == "j"
    assert job.parameters["inputTopic"].place == f"{tmp_path}/job.sh:5"


def test_a_script_of_a_classic_template(tmp_path: Path) -> None:
    """Without a shebang, as it stands on a page."""
    text = "$ gcloud dataflow jobs run x --gcs-location gs://t/latest/N --parameters a=1,b=2"
    job = read(written(tmp_path, "page.txt", text))
    assert job.template is not None
    assert job.template.value == "gs://t/latest/N"
    assert {name: each.value for name, each in job.parameters.items()} == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.yaml", "a: 1\nb: [", "a.yaml:2: no YAML"),
        ("a.yaml", "- 1\n", "a.yaml:1: must hold names and values"),
        ("a.yaml", "a:\n  - 1\n", "a.yaml:1: a: must be a single value"),
        ("a.yaml", "a: 1\na: 2\n", "a.yaml:2"),
        ("a.yaml", "launchParameter: 5\n", "a.yaml:1: must be a map"),
        ("a.yaml", "--parameters: a\n", "a.yaml:1: --parameters='a': must be NAME=VALUE"),
        ("a.yaml", "--parameters: ^~a=1\n", "a.yaml:1: has no ^"),
        ("a.yaml", "resource: {google_dataflow_job: {}}\n", "a.yaml:1: has 0 jobs"),
        (
            "a.yaml",
            "resource:\n  google_dataflow_job:\n    j: {parameters: {t: '${var.x}'}}\n",
            "a.yaml:3: t='${var.x}': has an expression of Terraform",
        ),
        (
            "a.yaml",
            "launchParameter:\n  parameters: {}\n  environment: {maxWorkers: {a: 1}}\n",
            "a.yaml:3: maxWorkers: must be a single value",
        ),
        ("a.yaml", "--additional-experiments: [[a]]\n", "a.yaml:1: additionalExperiments: must be"),
        ("a.tf", "resource x {}", "is Terraform's own language"),
        ("a.sh", "gcloud dataflow jobs list\n", "a.sh: has 0 commands that run a template"),
        (
            "a.sh",
            "gcloud dataflow jobs run x --parameters a=1, \\\n b=2\n",
            "a.sh:2='b=2': belongs to",
        ),
        ("a.sh", "gcloud dataflow jobs run x \\\n y --region r\n", "a.sh:2='y': belongs to no"),
        ("a.sh", "gcloud dataflow jobs run --parameters a=1, b=2\n", "a.sh:1='b=2': belongs"),
        ("a.sh", "gcloud dataflow jobs run x \\\n --parameters \\\n a=$(b)", "a.sh:3: has someth"),
        ("none.yaml", None, "can't be read (No such file"),
        ("none.sh", None, "can't be read (No such file"),
    ],
)
def test_mistakes_name_file_and_line(
    tmp_path: Path, name: str, content: str | None, rule: str
) -> None:
    """Each with its fix."""
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert rule in str(caught.value).replace(f"{tmp_path}/", "")
    assert caught.value.fix


def test_lines_joined_as_on_googles_pages(tmp_path: Path) -> None:
    """All parameters are one word; the name may be computed, and stand behind flags."""
    text = (
        'gcloud dataflow flex-template run --region=r "orders-$(date +%Y%m%d)" --async'
        " --parameters \\\na=projects/$PROJECT/x,\\\nb=$PROJECT:d.t,\\\nc=true\n"
    )
    job = read(written(tmp_path, "job.sh", text))
    assert {name: each.value for name, each in job.parameters.items()} == {
        "a": "projects/${env:PROJECT}/x", "b": "${env:PROJECT}:d.t", "c": "true",
    }  # fmt: skip
    assert job.name is not None
    assert job.name.value is None
