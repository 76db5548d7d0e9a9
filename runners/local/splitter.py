"""Asks sources that go on for long, or put out much, to leave the rest for later."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from runners.local.instructions import ask
from runners.local.internals import beam_fn_api_pb2

__all__ = ["Rest", "Split", "Splitter"]

_log = logging.getLogger(__name__)

SPLIT_AFTER_S = 1.0
"""How long a source may go on in one bundle before it is asked to stop where it is."""
OUTPUT_BYTES_MAX = 64 << 20
"""One that has put out so much before is asked at once: it waits in memory for the bundle's end."""
SPLIT_AGAIN_S = 0.25
"""A source that could not be split is asked again after this time."""
LOOK_S = SPLIT_AFTER_S
"""How often is looked for a bundle at the least; no longer than a bundle may go on."""


@dataclass(frozen=True)
class Split:
    """Elements of a channel that were not processed: from this index on."""

    transform: str
    first_residual: int


@dataclass
class Rest:
    """What a bundle has given back.

    Attributes:
        residuals: ``DelayedBundleApplication``, what sources have left to do.
        splits: elements that were not processed.
    """

    residuals: list[Any] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)


@dataclass
class _Asked:
    """A bundle that runs."""

    number: str
    transforms: Collection[str]
    due_s: float
    nbytes: int = 0  # put out
    rest: Rest = field(default_factory=Rest)


class Splitter:
    """Watches the bundles of one harness, one at a time.

    It has one thread for all of them, which is not told when a bundle begins or ends: most are over
    long before they would be asked, and two changes of thread cost more than a small bundle does.
    The thread ends when no bundle has come for a while.

    Args:
        handler: Beam's handler of the harness.
    """

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._lock = threading.Lock()
        self._asked: _Asked | None = None
        self._hurry = threading.Event()
        self._used = self._running = False

    @contextlib.contextmanager
    def watching(self, number: str, transforms: Collection[str]) -> Iterator[Rest]:
        """Watch a bundle during the block; what it gives back is known when the block has ended.

        Args:
            number: of the instruction.
            transforms: that read the bundle's input.
        """
        asked = _Asked(number, transforms, time.monotonic() + SPLIT_AFTER_S)
        with self._lock:
            self._asked = asked
            self._used = True
            if not self._running:
                self._running = True
                threading.Thread(target=self._watch, name="splitter", daemon=True).start()
        try:
            yield asked.rest
        finally:
            with self._lock:  # a request that is under way is waited for
                self._asked = None

    def note(self, nbytes: int) -> None:
        """Note what the bundle that is watched has put out. May be called from any thread."""
        asked = self._asked
        if asked is None:
            return
        asked.nbytes += nbytes
        if asked.nbytes > OUTPUT_BYTES_MAX and 0.0 < asked.due_s < math.inf:
            asked.due_s = 0.0
            self._hurry.set()

    def _watch(self) -> None:
        wait_s: float | None = LOOK_S
        while wait_s is not None:
            self._hurry.wait(wait_s)
            self._hurry.clear()
            with self._lock:
                wait_s = self._look()
                self._running = wait_s is not None

    def _look(self) -> float | None:
        """Ask if it is time to; return when to look again, None if no bundle comes any more.

        That is never after a bundle is due which begins in between.
        """
        asked = self._asked
        if asked is None:
            used, self._used = self._used, False
            return LOOK_S if used else None
        now_s = time.monotonic()
        if now_s >= asked.due_s:
            asked.due_s = math.inf if self._ask(asked) else now_s + SPLIT_AGAIN_S
        return min(max(asked.due_s - now_s, 0.0), LOOK_S)

    def _ask(self, asked: _Asked) -> bool:
        """Ask once; return whether that was enough."""
        request = beam_fn_api_pb2.InstructionRequest(
            process_bundle_split=beam_fn_api_pb2.ProcessBundleSplitRequest(
                instruction_id=asked.number,
                desired_splits={
                    transform: beam_fn_api_pb2.ProcessBundleSplitRequest.DesiredSplit(
                        fraction_of_remainder=0.0, estimated_input_elements=1
                    )
                    for transform in asked.transforms
                },
            )
        )
        try:
            response = ask(self._handler, request)
        except Exception:  # noqa: BLE001 - whatever the harness answers
            # The bundle itself goes on, or tells why it does not.
            _log.warning("bundle %s: could not be split", asked.number, exc_info=True)
            return True
        split = response.process_bundle_split
        asked.rest.residuals += split.residual_roots
        asked.rest.splits += [
            Split(part.transform_id, part.first_residual_element) for part in split.channel_splits
        ]
        return bool(not response.error and (split.residual_roots or split.channel_splits))
