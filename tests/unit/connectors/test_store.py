"""The steps that a commit is made of, on this machine's files."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.local_store import LocalStore
from connectors.store import is_remote, mark, write_error
from transforms.errors import PermanentError, TransientError

STORE = LocalStore()


def test_a_small_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Nothing remains of the temporary file."""
    path = str(tmp_path / "f")
    for content in (b"first", b"second"):
        STORE.write(path, content)
        assert STORE.read(path) == content
    assert STORE.names(str(tmp_path)) == ["f"]


def test_a_failed_write_keeps_the_old_content(tmp_path: Path) -> None:
    """Until the new content is durable the old one is in place."""
    path = str(tmp_path / "f")
    STORE.write(path, b"old")

    class Full(LocalStore):
        def sync(self, path: str) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        Full().write(path, b"new")
    assert STORE.read(path) == b"old"


def test_folders_and_files_that_are_missing_are_no_error(tmp_path: Path) -> None:
    """What is to be gone may be gone already."""
    missing = str(tmp_path / "missing")
    assert STORE.names(missing) == []
    STORE.remove(missing)
    STORE.remove_folder(missing)
    assert not STORE.exists(missing)


def test_a_folder_is_removed_with_its_content(tmp_path: Path) -> None:
    """Folders in folders too."""
    STORE.make_folder(str(tmp_path / "a" / "b"))
    mark(STORE, str(tmp_path / "a" / "b" / "f"))
    STORE.remove_folder(str(tmp_path / "a"))
    assert STORE.names(str(tmp_path)) == []


def test_a_lock_excludes_until_its_holder_dies(tmp_path: Path) -> None:
    """The system gives back the lock of a process that was killed."""
    code = (
        "import sys, time; from connectors.local_store import LocalStore;"
        "lock = LocalStore().lock(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert STORE.lock(str(tmp_path), wait_s=0) is None
        holder.send_signal(signal.SIGKILL)
        lock = STORE.lock(str(tmp_path), wait_s=10)
        assert lock is not None
        lock.release()
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_transient(number: int) -> None:
    """The error says where, what was kept and what to do."""
    error = write_error(OSError(number, "full"), "/lake")
    assert isinstance(error, TransientError)
    for part in ("/lake", "no message was acknowledged", "is untouched", "run again"):
        assert part in str(error)


def test_other_write_errors_stop() -> None:
    """They name the folder and what the system says."""
    error = write_error(PermissionError(errno.EACCES, "Permission denied", "/lake/a"), "/lake")
    assert isinstance(error, PermanentError)
    assert "can't write to /lake: [Errno 13] Permission denied: '/lake/a'" in str(error)


def test_paths_with_a_scheme_are_remote() -> None:
    """All others are files of this machine."""
    assert is_remote("gs://bucket/lake")
    assert not is_remote("/data/lake")
    assert not is_remote("lake")
