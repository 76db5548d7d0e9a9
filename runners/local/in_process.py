"""Beam's SDK harness in the runner's own process, with less between the two.

Beam's own data channel packs each piece of data into a protocol message and takes it out again, on
both ways: eight copies for each stage. Here a piece is handed over as it is. And Beam's cache of
state measures a value by walking through all modules that are loaded, which takes milliseconds;
state that is a call away needs no cache.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from runners.local.internals import (
    EmbeddedWorkerHandler,
    InMemoryDataChannelFactory,
    SingletonStateHandlerFactory,
    SizeBasedBufferingClosableOutputStream,
    StateCache,
    beam_fn_api_pb2,
    sdk_worker,
)
from runners.local.witness import Witness

__all__ = ["InProcessHandler"]


class InProcessHandler(EmbeddedWorkerHandler):
    """A harness that is called, not spoken to.

    Args:
        state: the state service.
        provision: what Beam's harness is told of the job.
        manager: knows the descriptors of stages.
    """

    def __init__(self, state: Any, provision: Any, manager: Any) -> None:
        super().__init__(None, state, provision, manager)
        runner_side, harness_side = _RunnerSide(), _HarnessSide()
        runner_side.other, harness_side.other = harness_side, runner_side
        self.data_plane_handler = self.data_conn = runner_side
        cache = self.bundle_processor_cache
        cache.data_sampler = Witness()
        cache.data_channel_factory = InMemoryDataChannelFactory(harness_side)
        cache.state_handler_factory = SingletonStateHandlerFactory(
            sdk_worker.GlobalCachingStateHandler(StateCache(0), state)
        )

    def forget(self) -> None:
        """Drop what a failed bundle has not read or not delivered."""
        self.data_conn.arrived.clear()
        self.data_conn.other.arrived.clear()


@dataclass(slots=True, eq=False)
class _Data:
    """A piece of data. It stands for the protocol's message, and says that it is one."""

    transform_id: str
    data: bytes
    is_last: bool = False

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return beam_fn_api_pb2.Elements.Data


@dataclass(slots=True, eq=False)
class _Timers:
    """Encoded timers of one family, in the same way."""

    transform_id: str
    timer_family_id: str
    timers: bytes

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return beam_fn_api_pb2.Elements.Timers


def _ignore(nbytes: int) -> None:
    """Do nothing."""


class _Side:
    """One end of the channel. One bundle at a time goes through it."""

    other: _Side

    def __init__(self) -> None:
        self.arrived: list[_Data | _Timers] = []
        self.noted: Callable[[int], None] = _ignore

    def input_elements(
        self,
        instruction_id: str,  # noqa: ARG002 - Beam's signature
        expected_inputs: Collection[object],  # noqa: ARG002
        abort_callback: Callable[[], bool] | None = None,  # noqa: ARG002
    ) -> Iterator[_Data | _Timers]:
        """Yield what has arrived, and keep no hold of it."""
        arrived, self.arrived = self.arrived, []
        arrived.reverse()
        while arrived:
            yield arrived.pop()

    def output_stream(self, instruction_id: str, transform_id: str) -> Any:  # noqa: ARG002
        """Return a stream for the data of a transform."""
        return self._stream(lambda data: self._give(_Data(transform_id, data), data))

    def output_timer_stream(
        self,
        instruction_id: str,  # noqa: ARG002 - Beam's signature
        transform_id: str,
        timer_family_id: str,
    ) -> Any:
        """Return a stream for the timers of a family."""
        return self._stream(
            lambda timers: self._give(_Timers(transform_id, timer_family_id, timers), timers)
        )

    def _give(self, piece: _Data | _Timers, content: bytes) -> None:
        if content:
            self.other.arrived.append(piece)
            self.other.noted(len(content))

    def _stream(self, give: Callable[[bytes], None]) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        """Do nothing: there is no connection."""


class _HarnessSide(_Side):
    """Gives Beam's operations a buffer to write into."""

    def _stream(self, give: Callable[[bytes], None]) -> Any:
        return SizeBasedBufferingClosableOutputStream(give, give)


class _RunnerSide(_Side):
    """Passes on what the runner has, which is encoded already."""

    def _stream(self, give: Callable[[bytes], None]) -> Any:
        return _Pieces(give)


class _Pieces:
    """A stream that gives each piece as it comes."""

    def __init__(self, give: Callable[[bytes], None]) -> None:
        self.write = give

    def maybe_flush(self) -> None:
        """Do nothing: nothing is kept back."""

    def close(self) -> None:
        """Do nothing: nothing is kept back."""
