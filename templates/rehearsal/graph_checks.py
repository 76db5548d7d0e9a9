"""What must be true of a job before Dataflow gets it; each check has a name and says its fix."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from templates.image.own_wheel import PACKAGES, ROOT
from templates.rehearsal.finding import Finding, WrongError, finding
from templates.rehearsal.job_graph import JobGraph

__all__ = ["CHECKS", "Expected", "findings"]

GRAPH_BYTES_MAX = 10_000_000
"""Of a request that creates a job, https://cloud.google.com/dataflow/quotas#job-limits."""

_MAIN = "__main__"
_BEAM_IMAGE = "gcr.io/cloud-dataflow/v1beta3/beam_python"
# Names that another build would not give again: of lambdas (with their line), of objects in memory.
_UNSTABLE = re.compile(
    r"<lambda|0x[0-9a-fA-F]{6,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-|[0-9a-f]{12,}|[0-9]{10,}"
)


@dataclass(frozen=True)
class Expected:
    """What was asked for, and so what the job must be.

    Attributes:
        streaming: whether the template goes on without end.
        options: options of the pipeline and their values.
        labels: of the job.
        image: of the workers; None for Beam's own.
        staged_code: whether workers install the code when they start, instead of having it in
            their image.
        code: folder in which the launcher had it.
        subscriptions: that the parameters name to be read.
        topics: the same.
    """

    streaming: bool
    options: Mapping[str, str]
    labels: Mapping[str, str]
    image: str | None
    staged_code: bool = False
    code: str = ""
    subscriptions: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


def findings(graph: JobGraph, expected: Expected) -> Iterator[Finding]:
    """Make all ``CHECKS``; yield their outcomes in that order."""
    for name, check in CHECKS.items():
        yield finding(name, functools.partial(check, graph, expected))


def _graph(graph: JobGraph, _: Expected) -> str:
    if not graph.hash_is_right:
        raise WrongError(
            "the staged graph is another one than the job's pipelineProtoHash says",
            "Give each launch a staging_location that nothing else writes to",
        )
    return f"{len(graph.pipeline_bytes):,} bytes, as the job's hash says"


def _steps(graph: JobGraph, _: Expected) -> str:
    if not graph.steps:
        raise WrongError("the graph has no steps", "Add the steps in build(pipeline, params)")
    return f"{sum(not step.is_composite for step in graph.steps)} in {_tops(graph)} named steps"


def _tops(graph: JobGraph) -> int:
    return sum("/" not in step.name for step in graph.steps)


def _names(graph: JobGraph, _: Expected) -> str:
    twice = [name for name, count in Counter(s.name for s in graph.steps).items() if count > 1]
    if twice:
        raise WrongError(
            f"several steps have the name {twice[0]!r}",
            'Name each: pcoll | "Name" >> transform. Without, --update can\'t match them',
        )
    if not graph.is_streaming:
        return "unique"  # Dataflow updates no job that ends
    unstable = [step.name for step in graph.steps if _UNSTABLE.search(step.name)]
    if unstable:
        raise WrongError(
            f"the name {unstable[0]!r} would be another one in the next build",
            'Name the step: pcoll | "Name" >> transform. Else --update can\'t match it',
        )
    return "unique, and the same in each build"


def _streaming(graph: JobGraph, expected: Expected) -> str:
    if graph.is_streaming != expected.streaming:
        raise WrongError(
            f"the job {_ends(graph.is_streaming)}, and the template says that it "
            f"{_ends(expected.streaming)}",
            "Set streaming of the template in templates/catalogue.py, or read another source",
        )
    return _ends(graph.is_streaming)


def _ends(streaming: bool) -> str:
    return "goes on without end" if streaming else "ends"


def _options(graph: JobGraph, expected: Expected) -> str:
    for name, wanted in expected.options.items():
        found = str(graph.options.get(name))
        # Beam makes the two places the job's own by a folder at the end.
        if found != wanted and not (
            name in ("staging_location", "temp_location") and found.startswith(f"{wanted}/")
        ):
            raise WrongError(
                f"the option {name} is {found!r}, and the launch gave {wanted!r}",
                "Make PipelineOptions of the command line, and leave what the launcher gives alone",
            )
    return ", ".join(f"{name}={expected.options[name]}" for name in expected.options)


def _labels(graph: JobGraph, expected: Expected) -> str:
    for name, wanted in expected.labels.items():
        if graph.labels.get(name) != wanted:
            raise WrongError(
                f"the label {name} is {graph.labels.get(name)!r}, and the launch gave {wanted!r}",
                "Leave --labels to the launcher",
            )
    return ", ".join(f"{name}={value}" for name, value in graph.labels.items())


def _container(graph: JobGraph, expected: Expected) -> str:
    found = ", ".join(sorted(graph.images)) or "no image"
    is_right = found.startswith(_BEAM_IMAGE) if expected.image is None else found == expected.image
    if not is_right:
        raise WrongError(
            f"workers start from {found}, and the launch asked for {expected.image or 'none'}",
            "Leave --sdk_container_image to the launch",
        )
    return found


def _code(graph: JobGraph, expected: Expected) -> str:
    if not expected.staged_code and any(each.startswith(_BEAM_IMAGE) for each in graph.images):
        raise WrongError(
            f"workers start from {min(graph.images)}, which has no code but Beam's",
            "Launch with the template's image, or stage the code with --setup_file",
        )
    modules = {name for each in graph.pickled.values() for name in each.names}
    missing = sorted(name for name in modules - {_MAIN} if not _workers_have(name))
    if missing:
        raise WrongError(
            f"{_step_with(graph, missing[0])} needs the module {missing[0]}, which no worker has",
            f"Put it into one of the packages {', '.join(PACKAGES)}",
        )
    return f"{len(modules)} modules"


def _workers_have(module: str) -> bool:
    top = module.partition(".")[0]
    if top in PACKAGES or top in sys.stdlib_module_names:
        return True
    found = importlib.util.find_spec(top)
    places = [found.origin, *(found.submodule_search_locations or ())] if found else []
    installed = tuple(sysconfig.get_paths()[each] for each in ("purelib", "platlib"))
    return any(str(place).startswith(installed) for place in places)


def _step_with(graph: JobGraph, module: str) -> str:
    return next(name for name, each in graph.pickled.items() if module in each.names)


def _main(graph: JobGraph, _: Expected) -> str:
    for step, each in graph.pickled.items():
        if _MAIN in each.names or _MAIN in each.texts:
            names = ", ".join(sorted(each.names.get(_MAIN, ()))) or "a function"
            raise WrongError(
                f"{step} has pickled {names} of {_MAIN}, a module that no worker has",
                "Define it in a module that is imported, not in the file that is run",
            )
    return f"nothing of {_MAIN} is pickled"


def _paths(graph: JobGraph, expected: Expected) -> str:
    # Code of installed packages that travels by value knows its file, in the image as here.
    code = {sysconfig.get_paths()[each] for each in ("purelib", "platlib", "stdlib")}
    installed = code | ({expected.code} - {""})
    for step, each in graph.pickled.items():
        leaks = sorted(text for text in each.texts if _is_local(text, installed))
        if leaks:
            raise WrongError(
                f"{step} names {leaks[0]!r}, a place on this machine",
                "Give a place on Cloud Storage, or read the file when the graph is built",
            )
    return "none of this machine"


def _is_local(text: str, installed: Iterable[object]) -> bool:
    here = {str(ROOT), str(Path.home()), tempfile.gettempdir(), os.getcwd()} - {"/"}
    places = "|".join(map(re.escape, sorted(here)))
    # Not a folder of that name on Cloud Storage: gs://my-bucket/tmp/...
    found = re.search(rf"(^|[^\w./-]|file://)({places})/", text)
    return bool(found) and not text.startswith(tuple(f"{folder}/" for folder in installed))


def _reads(graph: JobGraph, expected: Expected) -> str:
    for step, subscription, topic, whole in graph.pubsub_reads:
        if not whole:
            raise WrongError(
                f"{step} reads {subscription or topic} without attributes, id and time",
                "Use connectors.pubsub.Read",
            )
    found = {read.subscription or read.topic for read in graph.pubsub_reads}
    wanted = {*expected.subscriptions, *expected.topics}
    if wanted - found:
        raise WrongError(
            f"{min(wanted - found)} is read by no step of Dataflow's own",
            "Use connectors.pubsub.Read, which reads with what the service has for it",
        )
    if found - wanted:
        raise WrongError(
            f"{min(found - wanted)} is read, and no parameter names it",
            "Make what is read a parameter",
        )
    return f"{', '.join(sorted(found))}, by Dataflow's own" if found else "nothing of Pub/Sub"


def _job_id(graph: JobGraph, expected: Expected) -> str:
    pattern = re.compile(re.escape(expected.options.get("job_name", "")) + "-[0-9a-f]{8}")
    for step, each in graph.pickled.items():
        for text in each.texts:
            if pattern.fullmatch(text) and text != graph.options.get("headrace_job"):
                raise WrongError(
                    f"{step} names what it writes by {text}, and the job's options tell "
                    f"{graph.options.get('headrace_job')!r}: an update would use other names",
                    "Take the id of connectors.job.launch_id",
                )
    return str(graph.options.get("headrace_job") or "nothing is named by it")


def _size(graph: JobGraph, _: Expected) -> str:
    sizes = {"the job": graph.job_bytes, "its graph": len(graph.pipeline_bytes)}
    for what, size in sizes.items():
        if size > GRAPH_BYTES_MAX:
            raise WrongError(
                f"{what} has {size:,} bytes, and Dataflow takes {GRAPH_BYTES_MAX:,}",
                "Let workers read what is large from Cloud Storage, instead of pickling it",
            )
    return ", ".join(f"{what} {size:,} bytes" for what, size in sizes.items())


Check = Callable[[JobGraph, Expected], str]
CHECKS: dict[str, Check] = {
    "graph": _graph,
    "steps": _steps,
    "step names": _names,
    "streaming": _streaming,
    "options": _options,
    "labels": _labels,
    "container": _container,
    "worker code": _code,
    "main module": _main,
    "local paths": _paths,
    "reads": _reads,
    "job id": _job_id,
    "size": _size,
}
"""All checks of a graph by name: each returns what it has seen, or raises ``WrongError``."""
