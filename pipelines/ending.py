"""The end of a process whose threads may still be at work."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

__all__ = ["end_with"]


def end_with(run: Callable[[], int]) -> NoReturn:
    """Run something and end this process with the exit code that it returns.

    Beam works in daemon threads. After an interruption they still have a bundle in hand, while
    Python finalises the interpreter, and ends each thread that asks for its lock (before 3.14:
    https://github.com/python/cpython/issues/87135). It does so by unwinding the thread's stack.
    Frames of Rust and C++ as in ptars, Arrow and DuckDB don't bear that: the process aborts, with
    "FATAL: exception not rethrown" and 134 for an exit code. So the interpreter is not finalised.

    Threads that are no daemons are waited for, and what was registered with ``atexit`` meanwhile is
    run. If an exception leaves ``run``, the process ends as any other does.
    """
    codes: list[int] = []
    # Registered first: what comes last is run first.
    atexit.register(_end, codes)
    codes.append(run())
    sys.exit(codes[0])


def _end(codes: list[int]) -> None:
    if codes:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(codes[0])
