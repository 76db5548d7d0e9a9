"""Launches of templates at a local server of Dataflow's API."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors import retry
from templates.command import main
from templates.launch import dataflow
from templates.launch import progress as job_progress
from tests.commands import ROOT
from tests.dataflow_server import DataflowServer
from tests.examples import TEMPLATE_NAMES, in_the_cloud
from tests.processes import wait_until

__all__ = ["PLACE", "error_line", "launch", "launch_argv", "served", "spec_of", "stopped"]

PLACE = ("--project=my-project", "--region=europe-west1")


def spec_of(template: str) -> str:
    """Return where the container spec of a template is kept."""
    return f"gs://my-bucket/templates/{template}.json"


def launch_argv(template: str, *more: str) -> list[str]:
    """Return a launch of the template's example."""
    files = [flag for path in in_the_cloud(template) for flag in ("--params", str(path))]
    return ["launch", template, *files, f"--spec={spec_of(template)}", *PLACE, *more]


def launch(template: str, *more: str) -> int:
    """Launch the template's example; return the exit code."""
    return main(launch_argv(template, *more))


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line on stderr."""
    [line] = capsys.readouterr().err.splitlines()
    return line


@contextmanager
def served(
    patch: pytest.MonkeyPatch, cert: tuple[Path, Path] | None = None
) -> Iterator[DataflowServer]:
    """Run the server, with all templates, where launches go; nobody waits for long.

    What is changed for it stays changed until ``patch`` is undone.
    """
    with DataflowServer(cert).running() as server:
        for name in TEMPLATE_NAMES:
            server.jobs.add_template(name, spec_of(name))
        patch.chdir(ROOT)
        patch.setenv(dataflow.ENDPOINT, f"{server.url}/")
        patch.setattr(job_progress, "POLL_S", 0.01)
        patch.setattr(dataflow, "_PATIENCE", retry.Backoff(0.01, 0.1, 0.5))
        yield server


def stopped(server: DataflowServer, template: str, *more: str) -> tuple[int, str, str]:
    """Launch as a process, stop it when it has looked for messages; return what it said."""
    argv = [sys.executable, "-m", "templates", *launch_argv(template, *more)]
    with subprocess.Popen(
        argv, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        wait_until(lambda: bool(server.sent(r"GET .*/jobs/[^/]+$")), 60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err
