"""Lives of a job: processes that are killed, forked from one that has imported everything.

The imports would take most of the time of a short life. ``Lives`` starts ``python -m tests.lives``,
which has one thread and forks a child for each life; faults are put in place within the child.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.processes import python

LIMIT_S = 180.0


@dataclass(frozen=True)
class Life:
    """How one life goes.

    Attributes:
        folder: of the job.
        count: numbers that the job reads.
        moment: where it is killed, a name of ``MOMENTS``; empty for nowhere.
        after: how often it comes through there before.
        epochs: it is killed at the end of the epoch behind so many, if not before; None: it is not.
        kill_s: when it gets a signal from outside, in seconds.
        signal: which one; it may survive others than SIGKILL.
        stop_s: when it is asked to stop, in seconds after it has started to run.
        stop_mode: how it is asked to stop.
        fail_at: the hook of the job at which it raises an exception.
        fail_rate: how often it does.
        seed: of the exceptions.
        variant: the job is built in another way, see ``numbers_job.Job``.
        state: folder of the state, if it is not in that of the job.
        argv: options of the pipeline.
    """

    folder: str
    count: int
    moment: str = ""
    after: int = 0
    epochs: int | None = None
    kill_s: float | None = None
    signal: int = signal.SIGKILL
    stop_s: float | None = None
    stop_mode: str = "suspend"
    fail_at: str = ""
    fail_rate: float = 1.0
    seed: int = 0
    variant: str = ""
    state: str | None = None
    argv: tuple[str, ...] = ()


class Lives:
    """Starts lives, one after the other. A context manager.

    Args:
        log: file to which the jobs write what they have to say.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Lives:
        with self._log.open("a") as log:
            self._process = python(
                "-m", "tests.lives",
                # More threads would not survive the fork.
                environment={"OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(LIMIT_S)

    def live(self, life: Life) -> str:
        """Return how a life ended: ``killed`` and where, the state of the job, or its error."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(life)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the parent of all lives has died: {self._log.read_text()[-2_000:]}"
        return str(json.loads(answer))


# --- the process that forks -----------------------------------------------------------------------


def main() -> None:
    """Live the lives that are read from standard input."""
    # Imported once for all children, and only in this process.
    import runners.local  # noqa: F401, PLC0415
    from tests import numbers_job  # noqa: F401, PLC0415

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING)
    for line in sys.stdin:
        life = Life(**json.loads(line))
        answers.write(json.dumps(_live(life)) + "\n")
        answers.flush()


def _live(life: Life) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _be(life, writer)
    os.close(writer)
    handle = os.pidfd_open(child)
    if life.kill_s is not None and not _ends(handle, life.kill_s):
        os.kill(child, life.signal)
    hangs = not _ends(handle, LIMIT_S)
    if hangs:
        os.kill(child, signal.SIGKILL)
    os.close(handle)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as report:
        said = report.read()
    if hangs:
        return "hangs"
    if os.WIFSIGNALED(status):
        return f"killed {said or 'from outside'}"
    return said or f"ended with status {status}"


def _ends(handle: int, limit_s: float) -> bool:
    """Wait for a process to end, and tell whether it has."""
    ended, _, _ = select.select([handle], [], [], limit_s)
    return bool(ended)


def _be(life: Life, writer: int) -> None:
    """Run the job, tell how it ended, and end the process whatever happens."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        said = _run(life, writer)
    except BaseException as error:  # noqa: BLE001 - it is told to who has asked for this life
        traceback.print_exc()
        said = f"{type(error).__name__}: {error}"
    os.write(writer, said.encode()[:60_000])
    sys.stderr.flush()
    os._exit(0)


def _run(life: Life, writer: int) -> str:
    import apache_beam as beam  # noqa: PLC0415 - imported before the fork
    from apache_beam.options.pipeline_options import PipelineOptions  # noqa: PLC0415

    from runners.local import LocalRunner, failure  # noqa: PLC0415
    from tests import numbers_job  # noqa: PLC0415

    failure.FIRST_PAUSE_S, failure.LONGEST_PAUSE_S = 0.01, 0.1
    job = numbers_job.Job(life.folder, life.count, life.variant)
    options = PipelineOptions([*life.argv, f"--state_dir={life.state or job.state}"])
    _arm(life, writer)
    pipeline = beam.Pipeline(runner=LocalRunner(), options=options)
    job.build(pipeline)
    result = pipeline.run()
    try:
        return _ended(result, life)
    except Exception:
        if result.job.failure is None:
            raise
        return f"FAILED: {result.job.failure}"


def _ended(result: Any, life: Life) -> str:
    """Return the final state of a job, which may be asked to stop."""
    if life.stop_s is not None and result.wait_until_finish(life.stop_s * 1_000) is None:
        result.stop(life.stop_mode)
    return str(result.wait_until_finish())


# --- faults ---------------------------------------------------------------------------------------


HOOKS = ("read", "by key", "total", "timer", "write", "acknowledge", "acknowledged")
EPOCH = "before the state is stored"
OFTEN = (
    "read", "by key", "total", "acknowledge", "acknowledged", EPOCH,
    "before a transaction", "before the commit", "after the commit", "before a bundle",
    "after a bundle", "before a bundle is finalized", "after a bundle is finalized",
    "while a row is added", "while a chunk is added", "while a chunk is removed",
    "while a timer is set",
)  # fmt: skip
AT_WINDOWS = (
    "timer", "write", "while timers fire", "while rows are deleted",
    "before a file gets its name", "after a file got its name",
)  # fmt: skip
AT_TABLES = (
    "before a table's commit", "after the log has a commit", "after a table's commit",
    "after the commit", "before a file gets its name", "after a file got its name",
)  # fmt: skip
AT_THE_END = ("before the state is removed", "after the state was removed")


def _calls() -> dict[str, tuple[Any, str, bool]]:
    """Return by moment: what is called, and whether the fault comes after the call."""
    from connectors.tables import commit  # noqa: PLC0415
    from runners.local import executor, job, store, timers  # noqa: PLC0415
    from runners.local.bundles import Harness  # noqa: PLC0415

    return {
        EPOCH: (executor.Executor, "_save", False),
        "before a transaction": (store.Store, "begin", False),
        "before the commit": (store.Store, "commit", False),
        "after the commit": (store.Store, "commit", True),
        "before a bundle": (Harness, "run", False),
        "after a bundle": (Harness, "run", True),
        "before a bundle is finalized": (Harness, "finalize", False),
        "after a bundle is finalized": (Harness, "finalize", True),
        "while a row is added": (store.Store, "append", True),
        "while a chunk is added": (store.Store, "add_chunk", True),
        "while a chunk is removed": (store.Store, "remove_chunk", True),
        "while a timer is set": (store.Store, "set_timer", True),
        "while timers fire": (timers.UserTimers, "record", True),
        "while rows are deleted": (store.Store, "delete", True),
        "before a file gets its name": (os, "replace", False),
        "after a file got its name": (os, "replace", True),
        "before a table's commit": (commit, "_commit", False),
        "after the log has a commit": (commit, "_sync", False),
        "after a table's commit": (commit, "_commit", True),
        "before the state is removed": (job.Job, "_forget", False),
        "after the state was removed": (job.Job, "_forget", True),
    }


def _arm(life: Life, writer: int) -> None:
    """Put the faults of a life in place."""
    from tests import numbers_job  # noqa: PLC0415

    faults: list[tuple[str, Callable[[], None]]] = []
    if life.moment:
        faults.append((life.moment, _kills(life.moment, life.after, writer)))
    if life.epochs is not None:
        faults.append((EPOCH, _kills(EPOCH, life.epochs, writer)))
    if life.fail_at:
        faults.append((life.fail_at, _fails(life)))
    in_job: dict[str, list[Callable[[], None]]] = {}
    for moment, fault in faults:
        if moment in HOOKS:
            in_job.setdefault(moment, []).append(fault)
        else:
            owner, name, after = _calls()[moment]
            setattr(owner, name, _with(getattr(owner, name), fault, after=after))

    def hook(where: str) -> None:
        for fault in in_job.get(where, ()):
            fault()

    numbers_job.hook = hook


def _kills(moment: str, after: int, writer: int) -> Callable[[], None]:
    left = iter(range(after))

    def kill() -> None:
        if next(left, None) is None:
            os.write(writer, moment.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


def _fails(life: Life) -> Callable[[], None]:
    import random  # noqa: PLC0415

    rng = random.Random(life.seed)

    def fail() -> None:
        if rng.random() < life.fail_rate:
            raise ValueError("a fault of the test")

    return fail


def _with(function: Any, fault: Callable[[], None], *, after: bool) -> Any:
    def faulty(*args: Any, **kwargs: Any) -> Any:
        if not after:
            fault()
        result = function(*args, **kwargs)
        if after:
            fault()
        return result

    return faulty


if __name__ == "__main__":
    main()
