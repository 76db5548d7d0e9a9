"""Objects that parameters name to be read, put on a server in the place of Cloud Storage.

A parameter file for the cloud lies above one for this machine. What the lower one names by a path
is what the upper one names by ``gs://``: so the file or folder that is at hand is the sample.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipelines.params import ConfigError, Spec
from templates.files.parameter_file import read
from templates.rehearsal.job_graph import Objects

__all__ = ["buckets", "given_objects", "missing_objects", "object_name", "put", "sample_objects"]

_SCHEME = "gs://"
_NAME = re.compile(r"gs://([^/ ]+)(/[^\n]*)?")


def given_objects(texts: Sequence[str]) -> dict[str, Path]:
    """Return the samples of ``--object gs://BUCKET/OBJECT=PATH`` by the names of objects.

    Raises:
        ConfigError: one has another form, or its path is nothing.
    """
    found = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not re.fullmatch("gs://[^/ ]+/.+", name) or not path:
            raise ConfigError(
                "--object", text, "must be gs://BUCKET/OBJECT=PATH",
                "Write for example --object gs://my-bucket/flights.json=./flights.json",
            )  # fmt: skip
        if not Path(path).exists():
            rule = f"{path!r} is neither a file nor a folder"
            raise ConfigError("--object", text, rule, "Give the path of one of them")
        found[name] = Path(path)
    return found


def sample_objects(
    specs: Sequence[Spec], paths: Sequence[Path], texts: Mapping[str, str]
) -> dict[str, Path]:
    """Return what lies at hand for the objects that parameters name to be read.

    Args:
        specs: of the parameters.
        paths: of the parameter files, the later above the earlier.
        texts: of the parameters.
    """
    found = {}
    for spec in specs:
        name = object_name(texts.get(spec.name, ""))
        if name and _is_read(spec):
            path = next(_at_hand(spec, name, paths), None)
            if path is not None:
                found[name] = path
    return found


def _is_read(spec: Spec) -> bool:
    is_folder = spec.kind.resource.startswith("GCS_READ")
    return spec.kind.reads_file or is_folder or spec.group == "Source"


def _at_hand(spec: Spec, name: str, paths: Sequence[Path]) -> Iterator[Path]:
    for path in reversed(paths):
        given = read(path).get(spec.name)
        value = given.value if given else None
        if isinstance(value, str) and not value.startswith(_SCHEME):
            local = Path(_without_function(value))
            if local.exists():
                yield local
    for path in paths:
        beside = path.parent / posixpath.basename(name)
        if beside.is_file():
            yield beside


def object_name(text: str) -> str:
    """Return the object that a parameter's text names, without a function in it; or nothing."""
    return _without_function(text) if re.fullmatch("gs://[^/ ]+/.+", text) else ""


def _without_function(text: str) -> str:
    return re.sub(r":[A-Za-z_$][A-Za-z0-9_$.]*$", "", text)


def missing_objects(
    specs: Sequence[Spec], objects: Objects, texts: Mapping[str, str]
) -> dict[str, str]:
    """Return the parameters that name an object to be read that is not there, with its name."""
    return {
        spec.name: name
        for spec in specs
        if spec.kind.reads_file
        and (name := object_name(texts.get(spec.name, "")))
        and not objects.exists(name)
    }


def buckets(texts: Mapping[str, str]) -> set[str]:
    """Return the buckets that texts of parameters name."""
    return {match[1] for text in texts.values() if (match := _NAME.fullmatch(text))}


def put(objects: Objects, samples: Mapping[str, Path]) -> None:
    """Put samples in their places; a folder with all that is in it."""
    for name, path in samples.items():
        objects.make_bucket(name.removeprefix(_SCHEME).partition("/")[0])
        if path.is_file():
            objects.write(name, path.read_bytes())
            continue
        for each in sorted(path.rglob("*")):
            if each.is_file():
                objects.write(posixpath.join(name, str(each.relative_to(path))), each.read_bytes())
