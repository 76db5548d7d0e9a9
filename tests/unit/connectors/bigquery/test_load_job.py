"""Load jobs that fail, and that are asked for again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions

from connectors.bigquery import load_job
from connectors.bigquery.load_job import TRIES_MAX, Loader
from connectors.table_name import TableName
from transforms.errors import PermanentError, TransientError

NAME = TableName.parse("my-project.data.rows")
FILES = ("gs://bucket/1.parquet", "gs://bucket/2.parquet")


class Client:
    """Jobs by id; each new one ends as it is told."""

    def __init__(self, *reasons: str | None) -> None:
        self.jobs: dict[str, Any] = {}
        self._reasons = iter(reasons)

    def load_table_from_uri(self, uris: list[str], table: str, job_id: str, **_: Any) -> Any:
        if job_id in self.jobs:
            raise exceptions.Conflict("Already Exists")
        reason = next(self._reasons)
        error = None if reason is None else {"reason": reason, "message": f"because {reason}"}
        self.jobs[job_id] = SimpleNamespace(
            error_result=error, errors=None, output_rows=10 * len(uris), result=lambda **_: None
        )
        return self.jobs[job_id]

    def get_job(self, job_id: str, **_: Any) -> Any:
        return self.jobs[job_id]


def loader(client: Client, monkeypatch: pytest.MonkeyPatch) -> Loader:
    monkeypatch.setattr(load_job, "open_bigquery", lambda *_: client)
    return Loader(NAME, None, "job")


def test_job_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for twice it runs once."""
    client = Client(None)
    load = loader(client, monkeypatch)
    assert load.load(FILES) == load.load(FILES)
    assert load.load(FILES).rows == 20
    assert len(client.jobs) == 1


def test_failure_that_may_pass_is_followed_by_another_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed job keeps its id; whoever comes later finds the one that succeeded."""
    client = Client("backendError", "rateLimitExceeded", None)
    load = loader(client, monkeypatch)
    done = load.load(FILES)
    assert done.id.endswith("-2")
    assert load.load(FILES) == done
    assert len(client.jobs) == 3


def test_failures_without_end_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some jobs the bundle fails, for the runner to try it later."""
    client = Client(*["backendError"] * 100)
    with pytest.raises(TransientError, match="failed 5 times"):
        loader(client, monkeypatch).load(FILES)
    assert len(client.jobs) == TRIES_MAX


def test_files_that_are_refused_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other job would help; the words are BigQuery's."""
    client = Client("invalid")
    with pytest.raises(PermanentError, match=r"load job headrace-.*because invalid"):
        loader(client, monkeypatch).load(FILES)
    assert len(client.jobs) == 1
