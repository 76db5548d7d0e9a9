"""``simulate``: a launch on Dataflow, rehearsed on this machine, and the job that comes out of it.

The code is built and installed as in the image, the launcher's command runs as Dataflow's launcher
runs it, and a local server stands in the place of Cloud Storage. Then the job is read back from
there and judged. What only Dataflow can judge is left: quotas, permissions, networks, images.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import DataError
from pipelines.interrupt import interruptible
from pipelines.params import ConfigError
from templates.catalogue import Template
from templates.derived.metadata import container_spec
from templates.files.checking import Checked, Place, check
from templates.files.render import Launch, flags
from templates.image.entry import entry, file_name, variables
from templates.image.own_wheel import ROOT, build_wheel
from templates.rehearsal.finding import Finding, WrongError, finding
from templates.rehearsal.flex_launcher import (
    Launched,
    Launcher,
    command_line,
    environment_flags,
    launch_environment,
    run,
)
from templates.rehearsal.graph_checks import Expected, findings
from templates.rehearsal.installed import install, missing_modules
from templates.rehearsal.job_graph import JobGraph, Objects, read_job
from templates.rehearsal.launch_checks import all_there, ended
from templates.rehearsal.sample_objects import buckets, missing_objects, put, sample_objects
from templates.rehearsal.staged_files import check_staged
from templates.rehearsal.storage_server import STORAGE_EMULATOR_HOST, local_storage

__all__ = ["Outcome", "Simulation", "code_of"]

TIMEOUT_S = 120.0
_IN_CLOUD, _UNREAD = Place(in_cloud=True), Place(in_cloud=True, read_objects=False)


@dataclass(frozen=True)
class Simulation:
    """A launch that is rehearsed.

    Attributes:
        template: one of the catalogue.
        paths: of the files of parameters, the later above the earlier.
        project: in which the job would run.
        region: the same.
        launch: what it is told beside the parameters.
        image: of launcher and workers; by default that of the template's container spec.
        setup_file: stages the code for workers whose image lacks it, as
            ``FLEX_TEMPLATE_PYTHON_SETUP_FILE`` does.
        objects: samples of what the parameters name on Cloud Storage.
        timeout_s: that the launcher may take.
        code: folder in which the code is installed already.
    """

    template: Template
    paths: Sequence[Path]
    project: str = "my-project"
    region: str = "europe-west1"
    launch: Launch = field(default_factory=Launch)
    image: str | None = None
    setup_file: Path | None = None
    objects: Mapping[str, Path] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    code: Path | None = None

    def run(self) -> Outcome:
        """Rehearse it.

        Raises:
            ConfigError: a part of it is missing on this machine.
        """
        with (
            interruptible(),
            tempfile.TemporaryDirectory() as folder,
            local_storage(Path(folder, "storage")) as client,
        ):
            return _Rehearsal(self, Path(folder), Objects(client)).outcome()


@dataclass(frozen=True)
class Outcome:
    """What a rehearsal has shown.

    Attributes:
        problems: of the parameters, with file and line; then there is nothing else.
        findings: the outcome of each check that could be made.
        graph: of the job, if there is one.
    """

    problems: tuple[ConfigError, ...] = ()
    findings: tuple[Finding, ...] = ()
    graph: JobGraph | None = None

    @property
    def is_good(self) -> bool:
        """Whether the job may be launched."""
        return self.graph is not None and not any(each.problem for each in self.findings)


def code_of(folder: Path) -> Path:
    """Build the project's wheel and install it in a clean folder; return that.

    Raises:
        ConfigError: the wheel can't be built.
        DataError: it can't be installed.
    """
    installed = folder / "installed"
    install([build_wheel(folder / "wheel")], installed)
    return installed


class _Rehearsal:
    """The steps of a rehearsal, each of which may end it."""

    def __init__(self, asked: Simulation, folder: Path, objects: Objects) -> None:
        self._asked = asked
        self._folder = folder
        self._objects = objects
        self._found: list[Finding] = []
        spec = container_spec(asked.template, **({"image": asked.image} if asked.image else {}))
        self._image: str = spec["image"]
        environment = spec["defaultEnvironment"]
        self._launcher = Launcher(
            project=asked.project,
            region=asked.region,
            job_name=asked.launch.name_for(asked.template),
            bucket=f"dataflow-staging-{asked.region}-0",
            job_id="0000-00-00_00_00_00-0",
            labels={
                "goog-dataflow-provided-template-name": asked.template.name,
                "goog-dataflow-provided-template-type": "flex",
                **environment.get("additionalUserLabels", {}),
            },
            options=environment_flags(environment),
        )

    def outcome(self) -> Outcome:
        """Go through it."""
        checked = self._checked()
        if checked.problems:
            return Outcome(checked.problems)
        if not self._all_good():
            return Outcome(findings=tuple(self._found))
        self._add("distribution", self._installed)
        graph = self._graph(checked.texts) if self._all_good() else None
        if graph is not None:
            self._found += findings(graph, self._expected(checked.texts))
            self._add("staged files", lambda: self._staged(graph))
            self._add("modules", lambda: self._modules(graph))
        return Outcome(findings=tuple(self._found), graph=graph)

    def _all_good(self) -> bool:
        return not any(each.problem for each in self._found)

    def _add(self, name: str, check: object) -> None:
        self._found.append(finding(name, check))  # type: ignore[arg-type]

    def _checked(self) -> Checked:
        """Judge the parameters, with the objects that they name."""
        asked, parameters = self._asked, self._asked.template.parameters
        checked = check(asked.template, asked.paths, place=_UNREAD)
        if checked.problems or checked.waiting:
            return checked.without_secrets(
                "has a secret, which is only read for a job that is run",
                "Give the parameter without it in a file that lies above the others",
            )
        for bucket in {self._launcher.bucket, *buckets(checked.texts)}:
            self._objects.make_bucket(bucket)
        put(self._objects, sample_objects(parameters, asked.paths, checked.texts))
        put(self._objects, asked.objects)
        missing = missing_objects(parameters, self._objects, checked.texts)
        self._add("objects", lambda: all_there(missing))
        return checked if missing else check(asked.template, asked.paths, place=_IN_CLOUD)

    def _installed(self) -> str:
        if self._code == ROOT:
            return "the code is that of the package that is installed here"
        if self._asked.code is None:
            try:
                code_of(self._folder)
            except DataError as error:
                raise WrongError(
                    f"the wheel can't be installed ({error})", "See pyproject.toml and setup.py"
                ) from error
        return "the wheel is built and installed, without a network"

    @property
    def _code(self) -> Path:
        # Who has installed the package has no sources to build it of.
        own = self._folder / "installed" if _is_clone() else ROOT
        return self._asked.code or own

    def _graph(self, texts: Mapping[str, str]) -> JobGraph | None:
        launched = self._launched(texts)
        self._add("launch", lambda: ended(launched, self._asked.timeout_s))
        if not self._all_good():
            return None
        try:
            graph = read_job(self._objects, self._launcher.template_location)
        except DataError as error:
            fix = "Leave --template_location and --staging_location to the launcher"
            self._found.append(Finding("job file", problem=str(error), fix=fix))
            return None
        self._found.append(Finding("job file", self._launcher.template_location))
        return graph

    def _launched(self, texts: Mapping[str, str]) -> Launched:
        folder = self._folder / "template"
        folder.mkdir()
        template = self._asked.template
        (folder / file_name(template)).write_text(entry(template), encoding="utf-8")
        image = variables(template, str(folder))
        if self._asked.setup_file is not None:
            image["FLEX_TEMPLATE_PYTHON_SETUP_FILE"] = str(self._asked.setup_file.resolve())
        url = os.environ[STORAGE_EMULATOR_HOST]
        with launch_environment(self._code, self._asked.project, url, image) as environment:
            command = command_line(self._launcher, image, flags(texts))
            return run(command, environment, folder, self._asked.timeout_s)

    def _expected(self, texts: Mapping[str, str]) -> Expected:
        launcher = self._launcher
        source = {s.name for s in self._asked.template.parameters if s.group == "Source"}
        read = [text for name, text in texts.items() if name in source]
        subscriptions, topics = _named("subscriptions", read), _named("topics", read)
        return Expected(
            streaming=self._asked.template.streaming or bool(subscriptions),
            options={
                "runner": "DataflowRunner",
                "project": launcher.project,
                "region": launcher.region,
                "job_name": launcher.job_name,
                "staging_location": launcher.staging_location,
                "template_location": launcher.template_location,
            },
            labels=launcher.labels,
            image=self._image,
            staged_code=self._asked.setup_file is not None,
            code=str(self._code),
            subscriptions=subscriptions,
            topics=topics,
        )

    def _staged(self, graph: JobGraph) -> str:
        modules = {name for each in graph.pickled.values() for name in each.names}
        return check_staged(graph.staged, self._objects, modules, self._folder / "staged")

    def _modules(self, graph: JobGraph) -> str:
        modules = {name for each in graph.pickled.values() for name in each.names}
        missing = missing_modules(modules, self._code)
        if missing:
            raise WrongError(
                f"the wheel has no {missing[0]}, which the graph needs",
                "See [tool.setuptools.packages.find] in pyproject.toml",
            )
        return "all that the graph names are in the wheel"


def _is_clone() -> bool:
    return (ROOT / "pyproject.toml").is_file()


def _named(kind: str, texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text for text in texts if re.fullmatch(f"projects/[^/]+/{kind}/[^/]+", text))
