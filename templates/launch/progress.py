"""A job on Dataflow as one watches it: its states, and what it says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pipelines.errors import PermanentError
from templates.launch.dataflow import Dataflow, value_name
from templates.launch.hints import hint

__all__ = ["DRAINED", "ENDED", "POLL_S", "RUNNING", "Job", "failure"]

POLL_S = 5.0
"""Between two looks at a job."""

RUNNING, DRAINED = "JOB_STATE_RUNNING", "JOB_STATE_DRAINED"
ENDED = frozenset({
    "JOB_STATE_CANCELLED", "JOB_STATE_DONE", DRAINED, "JOB_STATE_FAILED", "JOB_STATE_UPDATED",
})  # fmt: skip
_ERROR = "JOB_MESSAGE_ERROR"
_LAST_LOOKS = 3
"""Looks for the errors of a job that has failed: they may be there later than its state."""


class Job:
    """A job that is watched.

    Args:
        dataflow: where it is.
        job_id: of it.
        tell: is given each line.
    """

    def __init__(self, dataflow: Dataflow, job_id: str, tell: Callable[[str], None]) -> None:
        self._dataflow = dataflow
        self.id = job_id
        self.state = ""
        self.errors: list[str] = []
        self._tell = tell
        self._told: set[str] = set()
        self._since: Any = None

    def pass_over(self) -> None:
        """Leave untold what the job has said so far."""
        for message in self._dataflow.messages(self.id):
            self._since = message.time
            self._told.add(message.id)

    def watch(self, is_enough: Callable[[str], bool]) -> str:
        """Tell what happens until a state is enough, or the job has ended; return the state."""
        while True:
            self._look()
            if self.state in ENDED or is_enough(self.state):
                break
            time.sleep(POLL_S)
        looks = 0
        while self.state == "JOB_STATE_FAILED" and not self.errors and looks < _LAST_LOOKS:
            time.sleep(POLL_S)
            self._look()
            looks += 1
        return self.state

    def _look(self) -> None:
        # The state first: what the job said before it is then among the messages.
        found = self._dataflow.job(self.id)
        for message in self._dataflow.messages(self.id, self._since):
            self._since = message.time
            if message.id not in self._told:
                self._told.add(message.id)
                self._say(message)
        state = value_name(found.current_state)
        if state != self.state:
            self.state = state
            self._tell(f"{_utc(found.current_state_time)}{self.state}")

    def _say(self, message: Any) -> None:
        text = " ".join(message.message_text.split())
        if value_name(message.message_importance) == _ERROR:
            self.errors.append(text)
        self._tell(f"{_utc(message.time)}{text}")


def _utc(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ} " if moment else ""


def failure(name: str, job: Job, url: str) -> PermanentError:
    """Return the error of a job that did not become what was wanted.

    Args:
        name: of the job.
        job: as it was watched.
        url: of its page.
    """
    text = "; ".join(dict.fromkeys(each.rstrip(". ") for each in job.errors))
    advice = hint(text)
    parts = [f"job {name} is {job.state}" + (f": {text}" if text else ""), advice, f"See {url}"]
    return PermanentError(". ".join(filter(None, parts)))
