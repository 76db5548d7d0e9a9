"""``launch``: a template as a job on Dataflow, judged first, then sent, then watched."""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from google.api_core.exceptions import Forbidden

from pipelines.errors import TransientError
from pipelines.interrupt import Interrupted, interruptible
from pipelines.params import ConfigError
from templates.catalogue import Template
from templates.files.checking import Checked, Place, check
from templates.files.cloud_values import has_cause
from templates.files.references import SecretManager
from templates.files.render import Launch, rest_body
from templates.launch.dataflow import Dataflow, Target, endpoint
from templates.launch.environment import environment
from templates.launch.errors import ParametersRefusedError
from templates.launch.run import LABEL, REQUESTED, JobRun
from templates.launch.transform_names import transform_names

__all__ = ["Launching", "launching"]

_REGION = "[a-z]+-[a-z]+[0-9]+"
_PROJECT = r"([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]"


@dataclass(frozen=True)
class Launching:
    """A launch as it was asked for.

    Attributes:
        template: one of the catalogue.
        paths: of the files of parameters; none if a job is only stopped.
        launch: what it is told beside the parameters.
        target: where the job is.
        stop: ``drain`` or ``cancel`` for what is done first to the running job of that name.
        wait: one of ``launch_flags.WAITS``.
        dry_run: whether the request is only printed.
        reveal_secrets: whether secrets may be sent in clear text.
    """

    template: Template
    paths: tuple[Path, ...]
    launch: Launch
    target: Target
    stop: str = ""
    wait: str = "running"
    dry_run: bool = False
    reveal_secrets: bool = False

    def checked(self) -> Checked:
        """Judge the parameters, as those of a job in the cloud.

        A secret is a problem unless somebody asked that it is sent.
        """
        if not self.paths:
            return Checked({})
        found = check(self.template, self.paths, place=Place(in_cloud=True, read_objects=False))
        if not self.reveal_secrets:
            found = found.without_secrets(
                "has a secret, which everybody who may look at the job could read",
                "Leave it out, or give --reveal_secrets if that is meant",
            )
        if found.problems:
            return found
        if self.dry_run or not (found.waiting or found.unread):
            return found
        return self._complete(found)

    def _complete(self, found: Checked) -> Checked:
        """Read secrets and objects, and judge what they hold."""
        whole = check(self.template, self.paths, SecretManager(), place=Place(in_cloud=True))
        if not whole.problems or not all(map(_is_denied, whole.problems)):
            return whole
        # Whoever launches need not be allowed to read what the workers read.
        if found.waiting:
            found = check(
                self.template, self.paths, SecretManager(),
                place=Place(in_cloud=True, read_objects=False),
            )  # fmt: skip
        return found

    def start(self, checked: Checked) -> int:
        """Do what was asked for, with parameters that are good; return the exit code.

        Raises:
            ConfigError: Dataflow refuses it.
            PermanentError: the job has failed.
            TransientError: Dataflow did not answer in time, or not at all.
        """
        for name in checked.unread:
            _note(f"{name} names an object that was not read, so what it holds is not checked")
        if self.dry_run:
            self._show(checked)
            return 0
        with Dataflow(self.target) as dataflow:
            run = JobRun(dataflow, self.launch.name_for(self.template))
            try:
                with interruptible():
                    dataflow.require_answer()
                    self._send(run, checked)
            except Interrupted as stop:
                print(f"stopped by {stop.name}: {run.standing}", file=sys.stderr)
                return stop.status
            except ParametersRefusedError as refused:
                return _complain(refused, checked)
            except ConfigError:
                if self.stop:
                    _note(run.standing)
                raise
            except TransientError as error:
                raise TransientError(f"{error}. How things stand: {run.standing}") from error
        return 0

    def _send(self, run: JobRun, checked: Checked) -> None:
        if not self.paths:
            run.stop(self.stop, needed=True)
            return
        launch = self.launch.labelled(run.continued() if self.launch.update else {})
        body = rest_body(self.template, checked.texts, launch)
        if self.stop:
            run.judge(body)
            run.stop(self.stop, needed=False)
        if self.launch.validate_only:
            run.validate(body)
        else:
            run.launch(body, self.wait)

    def _show(self, checked: Checked) -> None:
        name = self.launch.name_for(self.template)
        if self.stop or self.launch.update:
            _note(f"a running job {name} would be looked for: GET {self.target.path}/jobs")
        if self.launch.update:
            _note(f"the id of its files, if it has one, would be added as the label {LABEL}")
        if self.stop and self.paths:
            _note("before it ends, the request below would be judged, with validateOnly")
        if self.stop:
            state = json.dumps({"requestedState": REQUESTED[self.stop]})
            _note(f"it would be told to {self.stop}: PUT {self.target.path}/jobs/ITS_ID {state}")
            _note("then it would be waited for")
        for secret in checked.waiting:
            _note(f"{secret} would have the text of its secret in the place of its name")
        if self.paths:
            body = rest_body(self.template, checked.texts, self.launch)
            print(f"POST {self.target.launch_url}")
            print(json.dumps(body, indent=2, ensure_ascii=False))


def launching(template: Template, options: argparse.Namespace) -> Launching:
    """Return the launch that a command line asks for.

    Args:
        template: one of the catalogue.
        options: with an attribute of each flag of ``launch_flags``.

    Raises:
        ConfigError: a flag breaks its rule, or contradicts another one.
    """
    stop = next((each for each in ("drain", "cancel") if getattr(options, each)), "")
    _check_flags(template, options, stop)
    launch = Launch(
        spec=options.spec,
        job_name=options.job_name,
        region=options.region,
        environment=environment(template, options),
        update=options.update,
        transform_names=transform_names(options.transform_name_mapping or ()),
        validate_only=options.validate_only,
    )
    launch.name_for(template)
    if options.params:
        launch.require_spec()
    return Launching(
        template, tuple(options.params or ()), launch, _target(options), stop, options.wait,
        options.dry_run, options.reveal_secrets,
    )  # fmt: skip


def _target(options: argparse.Namespace) -> Target:
    if not re.fullmatch(_PROJECT, options.project):
        raise ConfigError(
            "--project", options.project, "must be the id of a project, and not its name or number",
            "See: gcloud projects list",
        )  # fmt: skip
    if not re.fullmatch(_REGION, options.region):
        zone = re.fullmatch(f"({_REGION})-[a-z]", options.region)
        fix = "Write for example --region=europe-west1"
        if zone:
            fix = f"Write --region={zone[1]} --worker_zone={options.region}"
        raise ConfigError("--region", options.region, "must be a region of Google Cloud", fix)
    return Target(options.project, options.region, endpoint())


def _check_flags(template: Template, options: argparse.Namespace, stop: str) -> None:
    if not options.params and (options.spec or not stop):
        raise ConfigError(
            "--params", None, "is required for a launch",
            "Give the file of parameters; only --drain and --cancel do without it and --spec",
        )  # fmt: skip
    for flag in ("update", "drain"):
        if getattr(options, flag) and not template.may_stream:
            raise ConfigError(
                f"--{flag}", None, f"is for a job that streams, and {template.name} ends by itself",
                "Leave it out, or give --cancel",
            )  # fmt: skip
    if options.transform_name_mapping and not options.update:
        raise ConfigError(
            "--transform_name_mapping", options.transform_name_mapping[0],
            "is about the job that is replaced", "Give --update with it, or leave it out",
        )  # fmt: skip
    if options.validate_only and stop:
        raise ConfigError(
            "--validate_only", None, f"starts nothing, and --{stop} would end a job",
            "Leave one of the two out",
        )  # fmt: skip


def _is_denied(problem: ConfigError) -> bool:
    """Whether an error is that this account may not read what a parameter names."""
    return has_cause(problem, Forbidden)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _complain(refused: ParametersRefusedError, checked: Checked) -> int:
    for name, rule in refused.violations:
        print(
            f"error: {checked.named(name)}: Dataflow refuses it ({rule}). {refused.fix}",
            file=sys.stderr,
        )
    return 2
