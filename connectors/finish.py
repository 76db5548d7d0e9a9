"""The end of a commit: its files move to their final names, in steps that may be repeated."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator

from connectors.compacted import Compacted
from connectors.records import LakeFile, Record
from connectors.store import Store, is_remote
from connectors.tables.commit import commit_files
from connectors.tables.table import open_table
from transforms.errors import HeadraceError, PermanentError, TransientError

__all__ = ["finish"]


def finish(record: Record, compacted: Compacted, stores: Callable[[str], Store]) -> None:
    """Move the files of a commit to their final names; safe to repeat.

    What was merged into them is removed after. In between its rows are there twice. Files of a
    table are added to it when they are in place; until then no reader of the table knows them.

    Args:
        record: of the commit.
        compacted: the marks of the lake that has the record.
        stores: finds the store of a folder.

    Raises:
        PermanentError: a file is neither where it was staged nor where it belongs.
        HeadraceError: files could not be added to their table.
    """
    waiting = _waiting(record, compacted, stores)
    folders = sorted({posixpath.dirname(file.path) for file in record.files})
    for folder in folders:
        stores(folder).make_folder(folder)
    # Before the first of the new files appears: a job that writes an old one again must not.
    compacted.add(record.removed)
    for store, files in _by_store(waiting, stores):
        store.rename_all([(file.staged, file.path) for file in files])
    for folder in folders:
        stores(folder).sync_folder(folder)
    _add_to_tables(record)
    for path in record.removed:
        stores(path).remove(path)
    # Or they come back with the power, when nothing tells any more that they are gone.
    for folder in sorted({posixpath.dirname(path) for path in record.removed}):
        stores(folder).sync_folder(folder)
    for folder in record.staging:
        stores(folder).remove_folder(folder)


def _add_to_tables(record: Record) -> None:
    for commit in record.tables:
        staged = f"{commit.stage}/"
        files = [file for file in record.files if file.staged.startswith(staged)]
        try:
            commit_files(open_table(commit.spec), commit.app, commit.version, files)
        except HeadraceError as error:
            kind = TransientError if isinstance(error, TransientError) else PermanentError
            raise kind(
                f"run {record.id} has committed, but its files could not be added to their table: "
                f"{error}. Nothing is lost: they are added when the lake is next opened, and its "
                "messages will be recognised when they come again. Mend the cause and run again."
            ) from error


def _by_store(
    files: Iterable[LakeFile], stores: Callable[[str], Store]
) -> Iterator[tuple[Store, list[LakeFile]]]:
    """Yield the files of this machine and those on Cloud Storage: a run may write to both."""
    kinds: dict[bool, list[LakeFile]] = {}
    for file in files:
        kinds.setdefault(is_remote(file.path), []).append(file)
    for members in kinds.values():
        yield stores(members[0].path), members


def _waiting(
    record: Record, compacted: Compacted, stores: Callable[[str], Store]
) -> list[LakeFile]:
    """Return the files that have not moved yet; refuse if one is lost, before any moves."""
    waiting, lost = [], []
    for store, files in _by_store(record.files, stores):
        staged = store.present([file.staged for file in files])
        waiting += [file for file in files if file.staged in staged]
        moved = [file for file in files if file.staged not in staged]
        there = store.present([file.path for file in moved])
        merged = compacted.find([file.path for file in moved if file.path not in there])
        lost += [file for file in moved if file.path not in there | merged]
    if lost:
        raise PermanentError(
            f"run {record.id} has committed, but {len(lost)} of its files are missing: there "
            f"is neither {lost[0].staged} nor {lost[0].path}. If the lake was moved, move it "
            "back to where it was (with its state) and run again. If the files were deleted on "
            f"purpose, delete {' and '.join(record.staging)} too."
        )
    return waiting
