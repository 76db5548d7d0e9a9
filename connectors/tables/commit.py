"""Adding files to a table once, whoever tries and how often.

Who commits is an *app*, such as ``headrace/JOB/Write``, and it numbers its commits from 1. A table
keeps the number of each app's last commit, changed by the commit itself. So a commit that is tried
again, after a crash or beside another process, finds its number and does nothing.
"""

from __future__ import annotations

import logging
import posixpath
import random
import time
from collections.abc import Sequence

from connectors.objects import store_of
from connectors.records import LakeFile
from connectors.retry import Backoff
from connectors.store import is_remote
from connectors.tables.errors import ConflictError
from connectors.tables.files import DataFile, data_files, digest
from connectors.tables.table import Table
from transforms.errors import PermanentError, TransientError

__all__ = ["commit_files", "next_version"]

TRIES_MAX = 12
_BACKOFF = Backoff(first_s=0.05, limit_s=5.0)
_log = logging.getLogger(__name__)


def next_version(table: Table, app: str) -> int:
    """Return the number of an app's next commit."""
    table.refresh()
    return table.version(app) + 1


def commit_files(table: Table, app: str, version: int, files: Sequence[LakeFile]) -> bool:
    """Add files to a table, unless that was done; tell whether it was done now.

    Args:
        table: to which the files belong; they are in place.
        app: who commits.
        version: of the commit, larger than those of the app before.
        files: they must be the same whenever the same version is tried.

    Raises:
        TransientError: others have been quicker, too often; or a server does not answer.
        PermanentError: the table is gone, can't be written, or has other files under this number.
    """
    told = digest(files)
    found = data_files(files)
    for attempt in range(TRIES_MAX):
        try:
            return _commit(table, app, version, found, told)
        except ConflictError as error:  # noqa: PERF203 (it is what the loop is for)
            _log.info("commit %d of %s is tried again: %s", version, app, error)
            time.sleep(_BACKOFF.delay_s(attempt, random.random()))  # noqa: S311 (no secret)
    raise TransientError(
        f"commit {version} of {app} was overtaken by other commits to the table {TRIES_MAX} times. "
        "Let fewer writers commit, or each of them less often (commit_s)"
    )


def _commit(table: Table, app: str, version: int, files: Sequence[DataFile], told: str) -> bool:
    table.refresh()
    if table.version(app) >= version:
        _require_same(table, app, version, told)
        return False
    table.append(app, version, files, told)
    _sync(table)
    return True


def _require_same(table: Table, app: str, version: int, told: str) -> None:
    """Refuse to take another commit of the same number for this one: its rows would be lost."""
    there = table.recorded(app, version)
    if there not in (None, told):
        raise PermanentError(
            f"the table has other files as commit {version} of {app}: two jobs use one name, or a "
            "job was begun anew under its old one. Give it a name of its own (job)"
        )


def _sync(table: Table) -> None:
    """Make what was written durable; the libraries leave that to the system."""
    paths = [path for path in table.new_files() if not is_remote(path)]
    for path in paths:
        store_of(path).sync(path)
    for folder in {posixpath.dirname(path) for path in paths}:
        store_of(folder).sync_folder(folder)
