"""Files of jobs that hold anything: they are imported or refused, and what is written is read."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipelines.params import ConfigError
from templates.catalogue import find
from templates.files.parameter_file import read as read_parameters
from templates.files.parameter_file import typed_text
from templates.files.references import resolved
from templates.google.environment import launch_flags
from templates.google.equivalents import EQUIVALENTS
from templates.google.importing import imported
from templates.google.job import escaped
from templates.google.read import read
from templates.google.written import file_text, scalar

GOOGLE = [each.google for each in EQUIVALENTS]
NAMES = [
    *("launchParameter", "parameters", "environment", "containerSpecGcsPath", "gcsPath", "labels"),
    *("resource", "google_dataflow_job", "values", "root_module", "type", "region", "jobName"),
    *("--parameters", "--max-workers", "--additional-experiments", "--template-file-gcs-location"),
    *sorted({each.name for equivalent in EQUIVALENTS for each in equivalent.parameters()}),
]
TEXTS = [
    *("", "^~^a=1~b", "^", "a=b", "${x}", "${var.x}", "{}", "[1]", '{"a": null}', "YYYY/MM", "%"),
    *("gs://b/latest/flex/PubSub_to_BigQuery_Flex", "google_dataflow_job", "p:d.t", "\x00é"),
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from(TEXTS), st.text(max_size=9)
)
CONTENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    ),
    max_leaves=12,
)
WORDS = [
    *("--parameters", "--region=r", "'", '"', "\\", "\n", "$A", "${B}", "$(", "`", "#", "=", ","),
    *("^~^", "--", "--max-workers", "5", " ", "A=1", "export ", "&&", ";", "a=b", "'c d'"),
]
SCRIPTS = st.lists(st.sampled_from(WORDS), max_size=14).map(
    lambda words: "gcloud dataflow flex-template run j " + " ".join(words)
)
SPEC = next(spec for spec in find("pubsub_to_lake").parameters if spec.name == "catalog")


def outcome(path: Path, google: str) -> str:
    """Return the file of parameters, or what is wrong."""
    try:
        job = read(path)
        found = imported(job, google)
        launch_flags(job, found.template)
        return file_text(found, path.name, path.parent)
    except ConfigError as error:
        return str(error)


@given(content=CONTENTS, google=st.sampled_from(GOOGLE))
def test_any_file_is_imported_or_refused(content: Any, google: str) -> None:
    """With the place of the first mistake, and never otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(content))
        assert outcome(path, google)


@given(script=SCRIPTS, google=st.sampled_from(GOOGLE))
def test_any_script_is_imported_or_refused(script: str, google: str) -> None:
    """Whatever is quoted or left open."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.sh"
        path.write_text(script)
        assert outcome(path, google)


@given(text=st.text(max_size=40))
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    """Of a parameter file: no letter is lost, and nothing becomes a reference."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(f"a: {scalar(SPEC, escaped(text))}\n", encoding="utf-8")
        written = typed_text(SPEC, read_parameters(path)["a"])
        assert resolved(written, environment={}).text == text
