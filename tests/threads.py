"""Threads that outlive the tests, which must not be."""

from __future__ import annotations

import gc
import sys
import threading
import time
import traceback
from collections.abc import Iterator

from apache_beam.utils import thread_pool_executor

END_S = 10.0
"""The local runner's splitter, and those of channels and servers that are gone, end by then."""


def leaving_none() -> Iterator[None]:
    """Fail if a thread is left: the body of a fixture around all tests.

    A thread that is still at work when Python finalises the interpreter may abort the process,
    which then fails although all tests have passed: see ``pipelines.ending``.
    """
    before = set(threading.enumerate())
    yield
    gc.collect()  # gRPC ends the threads of a server when the server is collected
    end = time.monotonic() + END_S
    while (left := _left(before)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left, "threads are left:\n" + "\n".join(map(_described, left))


def _left(before: set[threading.Thread]) -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread not in before
        and not _is_idle_worker(thread)
        and not _asks_for_a_bucket(thread)
        and not _reads_manifests(thread)
        and not _is_of_grpc(thread)
    ]


def _is_idle_worker(thread: threading.Thread) -> bool:
    """Whether Beam keeps the thread for its next bundle: it waits for a lock, for ever."""
    return isinstance(thread, thread_pool_executor._Worker) and thread._work_item is None


def _asks_for_a_bucket(thread: threading.Thread) -> bool:
    """Whether Google's client asks where a bucket is, for two minutes if its server is gone."""
    return "_bucket_metadata_cache" in str(getattr(thread, "_target", ""))


def _reads_manifests(thread: threading.Thread) -> bool:
    """Whether pyiceberg keeps the thread in its pool, whose end Python awaits before its own."""
    module = sys.modules.get("pyiceberg.utils.concurrent")
    pool = module and module.ExecutorFactory._instance
    return pool is not None and thread in pool._threads


def _is_of_grpc(thread: threading.Thread) -> bool:
    """Whether it is one of gRPC's own, which has called Python once, for a token, and waits now."""
    return isinstance(thread, threading._DummyThread) and not sys._current_frames().get(
        thread.ident
    )


def _described(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return f"{thread}\n{''.join(traceback.format_stack(frame)[-4:]) if frame else ''}"
