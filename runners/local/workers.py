"""The SDK harnesses of a job: where bundles run, and which part of a bundle each of them gets."""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from apache_beam.transforms import environments

from runners.local.bundles import Bundle, BundleResult, Harness
from runners.local.graph import Graph, StageNode
from runners.local.internals import (
    ExtendedProvisionInfo,
    WorkerHandlerManager,
    beam_provision_api_pb2,
)
from runners.local.partition import partition

__all__ = ["Workers", "environment"]

_tokens = itertools.count(1)


def environment(count: int) -> environments.Environment:
    """Return Beam's environment for so many workers: this process, or processes of their own."""
    if count == 1:
        return environments.EmbeddedPythonEnvironment.default()
    command = f"{sys.executable} -m runners.local.worker"
    return environments.SubprocessSDKEnvironment.from_command_string(command)


class Workers:
    """Runs the bundles of a graph.

    With several workers a bundle is parted: by key where a stage has state or timers, so that a
    key is always at the same worker, and evenly elsewhere.

    Args:
        graph: the stages.
        state: what harnesses ask for state.
        count: how many harnesses.
    """

    def __init__(self, graph: Graph, state: Any, count: int) -> None:
        self._graph = graph
        self._count = count
        provision = beam_provision_api_pb2.ProvisionInfo(retrieval_token="none")
        self._manager = WorkerHandlerManager(
            graph.components.environments, ExtendedProvisionInfo(provision)
        )
        self._manager.state_servicer = state
        self._harnesses: dict[str, list[Harness]] = {}
        self._descriptors: dict[str, str] = {}
        self._threads = ThreadPoolExecutor(count, "bundle") if count > 1 else None
        self.token = b""
        self.invalidate()

    def invalidate(self) -> None:
        """Let harnesses forget what they keep of the state: it was taken back."""
        self.token = f"state-{next(_tokens)}".encode()

    def descriptor(self, stage: StageNode) -> str:
        """Return the id of a stage's descriptor, which harnesses know from now on."""
        if stage.name not in self._descriptors:
            harness = self._of(stage)[0]
            descriptor = self._graph.descriptor(
                stage, len(self._descriptors), harness.data_url, harness.state_url
            )
            self._manager.register_process_bundle_descriptor(descriptor)
            self._descriptors[stage.name] = descriptor.id
        return self._descriptors[stage.name]

    def run(self, stage: StageNode, bundle: Bundle) -> list[BundleResult]:
        """Process a bundle on one or more harnesses.

        Raises:
            Exception: the first that user code has raised; all parts have ended by then.
        """
        harnesses = self._of(stage)
        if self._threads is None:
            return [harnesses[0].run(bundle)]
        parts = partition(self._graph, stage, bundle, len(harnesses))
        futures = [
            self._threads.submit(harness.run, replace(bundle, inputs=inputs, timers=timers))
            for harness, (inputs, timers) in zip(harnesses, parts, strict=True)
            if any(inputs.values()) or any(timers.values())
        ]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    def abandon(self, results: Iterable[BundleResult], error: BaseException) -> None:
        """Forget bundles that were taken back, and whatever a failed one has left."""
        numbers: dict[Harness, list[str]] = defaultdict(list)
        for result in results:
            if result.needs_end:
                numbers[result.harness].append(result.number)
        for harness in itertools.chain(*self._harnesses.values()):
            harness.abandon(numbers[harness], error)

    def close(self) -> None:
        """Stop all harnesses; those in other processes end."""
        self._manager.close_all()
        if self._threads is not None:
            self._threads.shutdown()

    def _of(self, stage: StageNode) -> Sequence[Harness]:
        if stage.environment not in self._harnesses:
            handlers = self._manager.get_worker_handlers(stage.environment, self._count)
            self._harnesses[stage.environment] = [Harness(handler) for handler in handlers]
        return self._harnesses[stage.environment]


_Parts = Sequence[tuple[Mapping[str, Sequence[bytes]], Mapping[tuple[str, str], bytes]]]
