"""What is done to jobs on Dataflow, in order: one is stopped, one is launched and watched."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any

from connectors.job import LABEL
from pipelines.params import ConfigError
from templates.launch import progress
from templates.launch.dataflow import Dataflow, value_name
from templates.launch.errors import NameTakenError
from templates.launch.launched import launched

__all__ = ["LABEL", "REQUESTED", "JobRun"]

REQUESTED = {"drain": progress.DRAINED, "cancel": "JOB_STATE_CANCELLED"}
"""The state that is asked for, to let a job end."""
_ENDING = ("JOB_STATE_DRAINING", "JOB_STATE_CANCELLING")
_GOOD = {
    "running": frozenset({progress.RUNNING, "JOB_STATE_DONE", "JOB_STATE_UPDATED"}),
    "done": frozenset({"JOB_STATE_DONE", progress.DRAINED, "JOB_STATE_UPDATED"}),
}
"""States in which a job has become what one waited for."""


def _tell(line: str) -> None:
    print(line, flush=True)


class JobRun:
    """Jobs of one name.

    Args:
        dataflow: where they are.
        name: of them.

    Attributes:
        standing: how things stand, for someone who stops this program.
    """

    def __init__(self, dataflow: Dataflow, name: str) -> None:
        self._dataflow = dataflow
        self._name = name
        self.standing = "nothing was sent"

    def stop(self, how: str, *, needed: bool) -> None:
        """Let the running job end, and wait for it.

        Args:
            how: ``drain`` or ``cancel``.
            needed: whether it is a mistake if there is none.

        Raises:
            ConfigError: there is none.
            PermanentError: it has failed instead.
        """
        running = self._dataflow.active(self._name)
        if not running and needed:
            raise self._no_job(f"--{how}")
        if not running:
            _tell(f"no job {self._name} is running: there is none to {how}")
        for job in running:
            self._end(how, job)

    def _end(self, how: str, found: Any) -> None:
        url = self._dataflow.target.console_url(found.id)
        job = progress.Job(self._dataflow, found.id, _tell)
        job.pass_over()
        if value_name(found.current_state) not in _ENDING:
            self._dataflow.request_state(found.id, REQUESTED[how])
        self.standing = (
            f"{self._name} has been told to {how}, and does; nothing was launched: {url}"
        )
        _tell(f"{how}: {self._name} {found.id}\n{url}")
        if job.watch(lambda _state: False) == "JOB_STATE_FAILED":
            raise progress.failure(self._name, job, url)
        self.standing = f"{self._name} has ended, and nothing was launched"

    def continued(self) -> dict[str, str]:
        """Return labels by which an update writes files under the names that the old job does.

        A file that was being written when the job was updated is then written again in its own
        place. Empty if the running job tells no id, or there is none.
        """
        for job in self._dataflow.active(self._name):
            job_id = str(self._dataflow.options(job.id).get("headrace_job", ""))
            found = job_id.removeprefix(f"{self._name}-")
            if re.fullmatch("[a-z0-9_-]{1,63}", found) and found != job_id:
                return {LABEL: found}
        return {}

    def judge(self, body: Mapping[str, Any]) -> None:
        """Let Dataflow judge a request before the running job of that name is ended for it.

        Raises:
            ConfigError: it would be refused, and not for its name alone.
        """
        with contextlib.suppress(NameTakenError):
            self._dataflow.launch({**body, "validateOnly": True})

    def validate(self, body: Mapping[str, Any]) -> None:
        """Let Dataflow judge a request."""
        self._dataflow.launch(body)
        _tell(f"Dataflow accepts the launch of {self._name}; nothing was started")

    def launch(self, body: Mapping[str, Any], wait: str) -> None:
        """Launch a job, and watch it.

        Args:
            body: of the request.
            wait: ``no``, ``running`` or ``done``.

        Raises:
            ConfigError: the name is taken; or it is an update, and there is no job of that name.
            PermanentError: the job has failed, or was stopped.
        """
        running = self._dataflow.active(self._name)
        is_update = bool(body["launchParameter"].get("update"))
        if is_update and not running:
            raise self._no_job("--update")
        if running and not is_update:
            raise self._taken(running[0])
        job = self._launched(body, [each.id for each in running])
        url = self._dataflow.target.console_url(job.id)
        self.standing = f"{self._name} goes on as {job.id}: {url}"
        _tell(f"launched: {self._name} {job.id}\n{url}")
        if wait != "no":
            _tell("a start takes some minutes; Ctrl-C ends this report, and not the job")
            self._watch(progress.Job(self._dataflow, job.id, _tell), wait, url)

    def _launched(self, body: Mapping[str, Any], before: list[str]) -> Any:
        known = self.standing
        self.standing = f"whether {self._name} was launched is not known; see: {self._list}"
        try:
            return launched(self._dataflow, body, before)
        except ConfigError:
            self.standing = known
            raise

    def _watch(self, job: progress.Job, wait: str, url: str) -> None:
        good = _GOOD[wait]
        if job.watch(good.__contains__) not in good:
            raise progress.failure(self._name, job, url)

    @property
    def _list(self) -> str:
        target = self._dataflow.target
        return f"gcloud dataflow jobs list --project={target.project} --region={target.region}"

    def _no_job(self, flag: str) -> ConfigError:
        return ConfigError(
            flag, None, f"there is no running job {self._name} in --region="
            f"{self._dataflow.target.region} of --project={self._dataflow.target.project}",
            f"Give its --job_name; see: {self._list} --status=active",
        )  # fmt: skip

    def _taken(self, job: Any) -> ConfigError:
        return ConfigError(
            "--job_name", self._name,
            f"is the name of the job {job.id}, which is {value_name(job.current_state)}",
            "Give --update to replace it, --drain to end it first, or another --job_name",
        )  # fmt: skip
