"""A launch that happens once, although its answer may be lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from connectors import retry
from pipelines.errors import TransientError
from templates.launch.dataflow import Dataflow
from templates.launch.errors import NameTakenError

__all__ = ["launched"]


def launched(dataflow: Dataflow, body: Mapping[str, Any], before: Collection[str]) -> Any:
    """Launch a job, trying again what is transient; return it.

    A request whose answer was lost may have made a job all the same: a second one would then be
    refused for its name, or update what has just been made. So after every failure, we look for a
    job of that name that was not there before, and take it for ours.

    Args:
        dataflow: where it is launched.
        body: of the request.
        before: ids of the jobs of that name that there were.

    Raises:
        ConfigError: as ``Dataflow.launch``.
        TransientError: the service did not answer in time, and there is no such job.
    """
    name = body["launchParameter"]["jobName"]
    lost = False

    def attempt() -> Any:
        nonlocal lost
        try:
            return dataflow.launch(body)
        except (TransientError, NameTakenError) as error:
            if isinstance(error, NameTakenError) and not lost:
                raise
            lost = True
            new = [job for job in dataflow.active(name) if job.id not in before]
            if not new:
                raise
            return new[0]

    subject = retry.Subject("Dataflow at", dataflow.target.address, "", "")
    return retry.call(attempt, subject, dataflow.backoff)
