"""What Dataflow does when a Flex template is launched, on this machine and without a network.

Dataflow starts the template's image on a machine of its own. The launcher in it runs the
template's Python file with ``--template_location``, by which Beam stages the job's graph and
writes the job's file instead of sending it. From that file Dataflow starts the job.

The launcher is closed: its command line is known from its logs, its environment from the docs.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from templates.rehearsal.metadata_server import metadata_server

__all__ = ["Launched", "Launcher", "command_line", "environment_flags", "launch_environment", "run"]

PY_FILE = "FLEX_TEMPLATE_PYTHON_PY_FILE"
_STAGED = {
    "FLEX_TEMPLATE_PYTHON_REQUIREMENTS_FILE": "--requirements_file",
    "FLEX_TEMPLATE_PYTHON_SETUP_FILE": "--setup_file",
    "FLEX_TEMPLATE_PYTHON_EXTRA_PACKAGES": "--extra_package",
}
"""What the launcher makes of the variables of an image beside the one of its Python file."""

_OPTIONS = {
    "sdkContainerImage": "--sdk_container_image",
    "enableStreamingEngine": "--enable_streaming_engine",
}

_ONLY_HERE = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT")
"""Variables of this machine that a launcher's does not have.

Those of local servers stay: what a pipeline asks Pub/Sub or BigQuery for when it is built, such as
the schema of a table, may be asked there.
"""

_NOWHERE = "http://127.0.0.1:9"
"""A proxy where nobody listens: what asks for the network fails at once."""


@dataclass(frozen=True)
class Launcher:
    """A launch, as Dataflow orders it.

    Attributes:
        project: of the job.
        region: of the job.
        job_name: of the job.
        bucket: for what is staged; Dataflow takes one of its own if the launch names none.
        job_id: of the launch, which becomes a folder.
        labels: that Dataflow gives to jobs from a template.
        options: what the launch's ``environment`` becomes, such as ``--num_workers=3``.
    """

    project: str
    region: str
    job_name: str
    bucket: str
    job_id: str
    labels: Mapping[str, str]
    options: tuple[str, ...] = ()

    @property
    def staging_location(self) -> str:
        """Folder of the files for workers."""
        return f"gs://{self.bucket}/staging"

    @property
    def template_location(self) -> str:
        """The job's file."""
        return f"{self.staging_location}/template_launches/{self.job_id}/job_object"


@dataclass(frozen=True)
class Launched:
    """How the launcher's process ended.

    Attributes:
        code: its exit code; None if it did not end in time.
        log: what it said.
        seconds: that it took.
    """

    code: int | None
    log: str
    seconds: float


def command_line(
    launcher: Launcher, variables: Mapping[str, str], parameters: Sequence[str]
) -> list[str]:
    """Return the command that the launcher runs.

    Args:
        launcher: the launch.
        variables: of the image.
        parameters: of the template, as flags.
    """
    staged = [f"{flag}={variables[name]}" for name, flag in _STAGED.items() if name in variables]
    # In the launcher's own form: JSON in several lines.
    labels = json.dumps(dict(launcher.labels), indent=3) + "\n"
    return [
        sys.executable, variables[PY_FILE], *staged, "--runner=DataflowRunner",
        f"--project={launcher.project}", f"--region={launcher.region}",
        f"--job_name={launcher.job_name}",
        f"--staging_location={launcher.staging_location}",
        f"--temp_location=gs://{launcher.bucket}/temp",
        f"--template_location={launcher.template_location}",
        f"--labels={labels}", *launcher.options, *parameters,
    ]  # fmt: skip


def environment_flags(environment: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the pipeline options that the launcher makes of a template's ``defaultEnvironment``.

    Labels are no options of their own; see ``Launcher``.
    """
    flags = []
    for key, value in environment.items():
        if key in _OPTIONS:
            flag = _OPTIONS[key]
            flags.append(flag if value is True else f"{flag}={value}")
    return tuple(flags)


@contextlib.contextmanager
def launch_environment(
    code: Path, project: str, storage_url: str, variables: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Make the environment of a launcher during the block.

    Args:
        code: folder in which the code is installed.
        project: whose machine it is.
        storage_url: of the server in the place of Cloud Storage.
        variables: of the image.

    Yields:
        All variables.
    """
    here = {name: value for name, value in os.environ.items() if name not in _ONLY_HERE}
    with metadata_server(project) as address:
        yield {
            **here,
            **dict.fromkeys(["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"], _NOWHERE),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PYTHONPATH": str(code),
            "CLOUDSDK_CONFIG": os.devnull,  # nobody is logged in
            "GCE_METADATA_HOST": address,
            "GCE_METADATA_IP": address,
            "STORAGE_EMULATOR_HOST": storage_url,
            **variables,
        }


def run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, timeout_s: float
) -> Launched:
    """Run a launcher's command to its end, or kill it when the time is over.

    Args:
        command: as of ``command_line``.
        environment: as of ``launch_environment``.
        folder: where it starts: one that has nothing of this clone.
        timeout_s: seconds that it may take.
    """
    start = time.monotonic()
    with subprocess.Popen(
        command, cwd=folder, env=dict(environment), text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            log, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            log, _ = process.communicate()
            return Launched(None, log, time.monotonic() - start)
        except BaseException:
            process.kill()
            raise
    return Launched(process.returncode, log, time.monotonic() - start)
