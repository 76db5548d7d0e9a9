"""One bundle in one SDK harness: what goes in, what comes out, and its end.

Beam's own ``BundleManager`` finalizes a bundle as soon as it is through. Here that waits until
the epoch is committed: to finalize is to acknowledge messages.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runners.local.in_process import InProcessHandler
from runners.local.instructions import ask, failure_of
from runners.local.internals import beam_fn_api_pb2
from runners.local.splitter import Rest, Split, Splitter

__all__ = ["Bundle", "BundleResult", "Harness"]

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Bundle:
    """What a bundle is given.

    Attributes:
        descriptor: id of the stage's descriptor.
        inputs: encoded elements by reading transform; each such transform has an entry.
        timers: encoded timers by step and family; each family has an entry.
        outputs: the writing transforms.
        token: what the harness may keep of the state is valid while this stays the same.
        splittable: ask for the rest back if it takes long.
    """

    descriptor: str
    inputs: Mapping[str, Sequence[bytes]]
    timers: Mapping[tuple[str, str], bytes]
    outputs: Sequence[str]
    token: bytes
    splittable: bool = False


@dataclass
class BundleResult:
    """What a bundle gave.

    Attributes:
        number: names it in the harness that ran it, if it waits for its end.
        harness: where it ran.
        inputs: what it was given.
        outputs: encoded elements by writing transform.
        timers: encoded timers that were set or cleared, by step and family, in order.
        residuals: ``DelayedBundleApplication``, what sources have left to do.
        splits: elements that were given back.
        infos: ``MonitoringInfo`` of the bundle.
        needs_end: it is to be finalized after the commit.
    """

    number: str
    harness: Harness
    inputs: Mapping[str, Sequence[bytes]]
    outputs: dict[str, list[bytes]] = field(default_factory=dict)
    timers: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    residuals: list[Any] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    infos: Sequence[Any] = ()
    needs_end: bool = False

    def drop_data(self) -> None:
        """Forget what went in and came out: results are kept for as long as an epoch takes."""
        self.inputs = {}
        self.outputs.clear()
        self.timers.clear()
        self.residuals.clear()


class Harness:
    """An SDK harness, in this process or another, that runs one bundle at a time.

    Args:
        handler: Beam's handler of it.
    """

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._splitter = Splitter(handler)
        if self.in_process:
            handler.data_conn.noted = self._splitter.note
        # Where state is a call away, nobody asks for it behind the end of a bundle.
        self._serving = getattr(handler, "serving", contextlib.nullcontext)

    @property
    def data_url(self) -> str:
        """The endpoint of the data channel."""
        return str(self._handler.data_api_service_descriptor().url)

    @property
    def state_url(self) -> str | None:
        """The endpoint of the state service; None where state is a call away."""
        descriptor = self._handler.state_api_service_descriptor()
        return None if descriptor is None else str(descriptor.url)

    @property
    def in_process(self) -> bool:
        """Whether user code runs in this process, so that its exceptions arrive as they are."""
        return isinstance(self._handler, InProcessHandler)

    def run(self, bundle: Bundle) -> BundleResult:
        """Process a bundle to its end, which waits for ``finalize`` if it asks for it.

        Raises:
            Exception: what user code raised (in process), or a RuntimeError with its traceback.
            LocalRunnerError: the state could not be used.
        """
        number = f"bundle-{next(_numbers)}"
        with self._serving(number):
            return self._process(number, bundle)

    def _process(self, number: str, bundle: Bundle) -> BundleResult:
        self._send(number, bundle)
        request = beam_fn_api_pb2.InstructionRequest(
            instruction_id=number,
            process_bundle=beam_fn_api_pb2.ProcessBundleRequest(
                process_bundle_descriptor_id=bundle.descriptor,
                cache_tokens=[_user_state_token(bundle.token)],
            ),
        )
        watching = (
            self._splitter.watching(number, bundle.inputs)
            if bundle.splittable
            else contextlib.nullcontext(Rest())
        )
        with watching as rest:
            future = self._handler.control_conn.push(request)
            result = self._receive(number, bundle, future)
            response = future.get()
        if response.error:
            raise RuntimeError(response.error)
        done = response.process_bundle
        result.residuals = [*done.residual_roots, *rest.residuals]
        result.splits = rest.splits
        result.infos = done.monitoring_infos
        result.needs_end = done.requires_finalization
        return result

    def _send(self, number: str, bundle: Bundle) -> None:
        connection = self._handler.data_conn
        for (transform, family), timers in bundle.timers.items():
            stream = connection.output_timer_stream(number, transform, family)
            stream.write(timers)
            stream.close()
        for transform, pieces in bundle.inputs.items():
            stream = connection.output_stream(number, transform)
            for piece in pieces:
                stream.write(piece)
                stream.maybe_flush()
            stream.close()

    def _receive(self, number: str, bundle: Bundle, future: Any) -> BundleResult:
        result = BundleResult(number, self, bundle.inputs)
        expected = [*bundle.outputs, *bundle.timers]

        def has_failed() -> bool:
            return failure_of(self._handler) is not None or bool(
                future.is_done() and future.get().error
            )

        for output in self._handler.data_conn.input_elements(
            number, expected, abort_callback=has_failed
        ):
            if isinstance(output, beam_fn_api_pb2.Elements.Timers):
                key = (output.transform_id, output.timer_family_id)
                if output.timers:
                    result.timers.setdefault(key, []).append(output.timers)
            elif output.data:
                result.outputs.setdefault(output.transform_id, []).append(output.data)
                if not self.in_process:  # where it is through by now
                    self._splitter.note(len(output.data))
        failure = failure_of(self._handler)
        if failure is not None:
            raise failure
        return result

    def finalize(self, number: str) -> None:
        """End a bundle whose epoch is committed: its finalizers are called.

        Raises:
            RuntimeError: the harness has failed; what a finalizer raises is logged by Beam.
        """
        request = beam_fn_api_pb2.InstructionRequest(
            finalize_bundle=beam_fn_api_pb2.FinalizeBundleRequest(instruction_id=number)
        )
        response = ask(self._handler, request)
        if response.error:
            raise RuntimeError(response.error)

    def abandon(self, numbers: Iterable[str], error: BaseException) -> None:
        """Forget bundles whose epoch was taken back, with the finalizers that they have."""
        if self.in_process:
            for number in numbers:
                self._handler.bundle_processor_cache.discard(number, error)
            self._handler.forget()


def _user_state_token(token: bytes) -> Any:
    cache_token = beam_fn_api_pb2.ProcessBundleRequest.CacheToken
    return cache_token(user_state=cache_token.UserState(), token=token)
