"""Samples of objects that parameters name to be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.params import Spec
from templates.catalogue import find
from templates.rehearsal.job_graph import Objects
from templates.rehearsal.sample_objects import (
    buckets,
    given_objects,
    missing_objects,
    object_name,
    put,
    sample_objects,
)
from transforms.errors import ConfigError

SCHEMA = "gs://bucket/schemas/columns.json"


@pytest.fixture
def specs() -> list[Spec]:
    """Parameters, of which schema is a file to be read and output a folder to be written."""
    return find("pubsub_to_lake").parameters


def files(folder: Path, *texts: str) -> list[Path]:
    """Write parameter files."""
    paths = [folder / f"{number}.yaml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def test_file_of_a_lower_layer_is_the_sample(specs: list[Spec], tmp_path: Path) -> None:
    """The nearest that is at hand; what is written needs none."""
    local = tmp_path / "local.json"
    local.write_text("[]")
    paths = files(
        tmp_path,
        f"schema: {local}\noutput: {tmp_path}",
        "schema: nowhere.json",
        f"schema: {SCHEMA}",
    )
    texts = {"schema": SCHEMA, "output": "gs://bucket/lake"}
    assert sample_objects(specs, paths, texts) == {SCHEMA: local}


def test_file_beside_the_parameters_is_the_sample(specs: list[Spec], tmp_path: Path) -> None:
    """By its name, if no lower layer has one."""
    paths = files(tmp_path, f"schema: {SCHEMA}")
    assert sample_objects(specs, paths, {"schema": SCHEMA}) == {}
    (tmp_path / "columns.json").write_text("[]")
    assert sample_objects(specs, paths, {"schema": SCHEMA}) == {SCHEMA: tmp_path / "columns.json"}


def test_folder_is_a_sample_of_a_folder(tmp_path: Path) -> None:
    """A template that ends lists the files when its graph is built."""
    paths = files(tmp_path, f"archive: {tmp_path}", "archive: gs://bucket/archive")
    found = sample_objects(
        find("archive_replay").parameters, paths, {"archive": "gs://bucket/archive"}
    )
    assert found == {"gs://bucket/archive": tmp_path}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (SCHEMA, SCHEMA), ("gs://bucket", ""), ("./columns.json", ""), ("", ""),
        ("gs://bucket/functions.py:clean", "gs://bucket/functions.py"),
        ("gs://bucket/a:b/functions.js:Some.clean", "gs://bucket/a:b/functions.js"),
    ],
)  # fmt: skip
def test_object_is_named_without_its_function(text: str, name: str) -> None:
    """A user function is a file and a name in it."""
    assert object_name(text) == name


def test_samples_are_put_in_their_places(
    objects: Objects, specs: list[Spec], tmp_path: Path
) -> None:
    """A folder with all below it; what nobody gave is missing."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b").write_bytes(b"of b")
    (tmp_path / "a").write_bytes(b"of a")
    put(objects, {"gs://made-for-it/x": tmp_path, "gs://bucket/a": tmp_path / "a"})
    assert objects.read("gs://made-for-it/x/deep/b") == b"of b"
    assert objects.read("gs://made-for-it/x/a") == objects.read("gs://bucket/a") == b"of a"
    assert missing_objects(specs, objects, {"schema": SCHEMA}) == {"schema": SCHEMA}
    assert missing_objects(specs, objects, {"schema": "gs://bucket/a"}) == {}
    assert missing_objects(specs, objects, {"output": "gs://bucket/none/x"}) == {}


def test_buckets_are_those_that_texts_name() -> None:
    """Of whatever kind the parameter is."""
    texts = {
        "a": "gs://one/x",
        "b": "gs://two",
        "c": "projects/p/topics/t",
        "d": "not gs://three/x",
    }
    assert buckets(texts) == {"one", "two"}


def test_samples_of_the_command_line(tmp_path: Path) -> None:
    """The path may have a = in it."""
    (tmp_path / "k=1").mkdir()
    assert given_objects([f"gs://b/x={tmp_path}/k=1"]) == {"gs://b/x": tmp_path / "k=1"}


@pytest.mark.parametrize("text", ["x", "gs://b=./", "gs://b/x", "gs://b/x=", "gs://b/x=/no/such"])
def test_sample_that_is_none_is_refused(text: str) -> None:
    """With the form, or the path that is nothing."""
    with pytest.raises(ConfigError) as caught:
        given_objects([text])
    assert (caught.value.name, caught.value.value) == ("--object", text)
