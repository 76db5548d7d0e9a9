"""Load jobs that are recognised when they are asked for again."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.api_core import exceptions

from connectors import retry
from connectors.bigquery.create import Create
from connectors.bigquery.session import OUTAGE
from connectors.bigquery.tables import configure
from connectors.clients import bigquery_endpoint, open_bigquery
from connectors.store import is_remote
from connectors.table_name import TableName
from transforms.errors import PermanentError, TransientError

__all__ = ["LoadJob", "Loader", "job_id", "loads"]

_log = logging.getLogger(__name__)

CALL_S = 60.0
UPLOAD_S = 600.0
URIS_MAX = 10_000
"""Of a load job: https://cloud.google.com/bigquery/quotas#load_jobs."""
TRIES_MAX = 5
"""Jobs for the same files: one that has failed keeps its id for ever."""

_MAY_PASS = frozenset(
    ("backendError", "internalError", "jobBackendError", "jobInternalError", "jobRateLimitExceeded",
     "rateLimitExceeded", "quotaExceeded", "stopped", "timeout")
)  # fmt: skip
"""Reasons of failed jobs: https://cloud.google.com/bigquery/docs/error-messages."""


class LoadJob(NamedTuple):
    """A load that has succeeded."""

    id: str
    table: str
    files: tuple[str, ...]
    rows: int


def job_id(job: str, table: TableName, files: Sequence[str], attempt: int) -> str:
    """Return the id under which files are loaded: the same whoever asks, in any order.

    Args:
        job: names the pipeline's state; see ``connectors.job``.
        table: they go to.
        files: their paths.
        attempt: counts jobs for the same files that have failed.
    """
    told = "\0".join((job, str(table), *sorted(files)))
    return f"headrace-{hashlib.sha256(told.encode()).hexdigest()[:40]}-{attempt}"


def loads(files: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Cut files into loads: objects of Cloud Storage together, files of this machine one by one."""
    remote = sorted(path for path in files if is_remote(path))
    for start in range(0, len(remote), URIS_MAX):
        yield tuple(remote[start : start + URIS_MAX])
    yield from ((path,) for path in sorted(set(files).difference(remote)))


@dataclass(frozen=True)
class Loader:
    """Loads Parquet files into a table.

    Args:
        table: they go to.
        create: how it is made if it is missing; None if it must be there.
        job: names the pipeline's state.
    """

    table: TableName
    create: Create | None
    job: str

    def load(self, files: tuple[str, ...]) -> LoadJob:
        """Load files once, whoever asks how often; wait for the end.

        Raises:
            HeadraceError: BigQuery refused the files, or did not answer.
        """
        endpoint = bigquery_endpoint()
        subject = retry.Subject(
            "table", str(self.table), "Create it first, or give create=Create()", endpoint.advice,
            "roles/bigquery.jobUser and roles/bigquery.dataEditor", "BIGQUERY_EMULATOR_HOST",
        )  # fmt: skip
        client = retry.call(lambda: open_bigquery(endpoint, self.table.project), subject, OUTAGE)
        for attempt in range(TRIES_MAX):
            name = job_id(self.job, self.table, files, attempt)
            job = retry.call(lambda name=name: self._begin(client, name, files), subject, OUTAGE)  # type: ignore[misc]
            retry.call(lambda job=job: _wait(job), subject, OUTAGE)  # type: ignore[misc]
            if job.error_result is None:
                return LoadJob(name, str(self.table), files, int(job.output_rows or 0))
            if job.error_result.get("reason") not in _MAY_PASS:
                raise PermanentError(f"load job {name} into {self.table}: {_words(job)}")
            _log.warning("load job %s has failed and is tried again: %s", name, _words(job))
        raise TransientError(f"load of {files[0]} into {self.table} failed {TRIES_MAX} times")

    def _begin(self, client: Any, name: str, files: tuple[str, ...]) -> Any:
        """Ask for a job, or find the one that was asked for before."""
        config = self._config()
        try:
            if is_remote(files[0]):
                return client.load_table_from_uri(
                    list(files), str(self.table), job_id=name, job_config=config, retry=None,
                    timeout=CALL_S,
                )  # fmt: skip
            return self._upload(client, name, files[0], config)
        except exceptions.Conflict:
            return client.get_job(name, retry=None, timeout=CALL_S)

    def _upload(self, client: Any, name: str, path: str, config: Any) -> Any:
        with open(path, "rb") as file:
            try:
                return client.load_table_from_file(
                    file, str(self.table), size=os.path.getsize(path), job_id=name,
                    job_config=config, timeout=UPLOAD_S,
                )  # fmt: skip
            except exceptions.NotFound as error:
                if "upload_id" not in str(error):
                    raise
                # The server has forgotten the upload; perhaps because the job has begun.
                raise TransientError(f"upload of {path} was lost: {error}") from error

    def _config(self) -> Any:
        from google.cloud import bigquery  # noqa: PLC0415 - a second of imports

        parquet = bigquery.format_options.ParquetOptions()
        parquet.enable_list_inference = True
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            create_disposition="CREATE_NEVER" if self.create is None else "CREATE_IF_NEEDED",
        )
        config.parquet_options = parquet
        if self.create is not None:
            configure(config, self.create)
        return config


def _wait(job: Any) -> None:
    """Wait for the end of a job; that it has failed is told by the job."""
    try:
        job.result(retry=None, timeout=None)
    except exceptions.GoogleAPICallError:
        if job.error_result is None:
            raise


def _words(job: Any) -> str:
    errors = job.errors or [job.error_result]
    return "; ".join(str(error.get("message")) for error in errors[:3])
