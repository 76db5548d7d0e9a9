"""The SDK harnesses of a job: where bundles run, and which part of a bundle each of them gets."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from runners.local.bundles import Bundle, BundleResult, Harness
from runners.local.graph import Graph
from runners.local.in_process import InProcessHandler
from runners.local.internals import (
    ExtendedProvisionInfo,
    WorkerHandlerManager,
    beam_provision_api_pb2,
    python_urns,
)
from runners.local.nodes import StageNode
from runners.local.partition import partition
from runners.local.processes import END_S, HarnessServer, ProcessHandler

__all__ = ["Workers"]

_tokens = itertools.count(1)


class Workers:
    """Runs the bundles of a graph.

    With one worker user code runs in this process, with more in processes of their own. Then a
    bundle is parted: by key where a stage has state or timers, so that a key is always at the same
    worker, and evenly elsewhere.

    Args:
        graph: the stages.
        state: what harnesses ask for state.
        count: how many harnesses.
        options: the pipeline's options for worker processes, as far as JSON can say them.
    """

    def __init__(self, graph: Graph, state: Any, count: int, options: Mapping[str, Any]) -> None:
        self._graph = graph
        self._state = state
        self._count = count
        self._options = options
        provision = beam_provision_api_pb2.ProvisionInfo(retrieval_token="none")  # noqa: S106
        self._provision = ExtendedProvisionInfo(provision)
        self._manager = WorkerHandlerManager(graph.components.environments, self._provision)
        self._manager.state_servicer = state
        self._server: HarnessServer | None = None
        self._processes: list[ProcessHandler] = []
        self._here: list[InProcessHandler] = []
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
        """Forget bundles that were taken back, and whatever a failed one has left.

        Processes are ended, and started anew when they are needed: there is no other way to make
        one forget a bundle.
        """
        if self._processes:
            self._end_processes()
            self._harnesses.clear()
            return
        numbers: dict[Harness, list[str]] = defaultdict(list)
        for result in results:
            if result.needs_end:
                numbers[result.harness].append(result.number)
        for harness in itertools.chain(*self._harnesses.values()):
            harness.abandon(numbers[harness], error)

    def close(self) -> None:
        """Stop all harnesses: their steps are torn down, and those in other processes end."""
        with contextlib.ExitStack() as closing:  # each is called, whatever the others raise
            if self._threads is not None:
                closing.callback(self._threads.shutdown)
            if self._server is not None:
                closing.callback(self._server.close)
            closing.callback(self._manager.close_all)
            for handler in self._here:
                closing.callback(handler.close)
            closing.callback(self._end_processes)
        self._here = []

    def _of(self, stage: StageNode) -> Sequence[Harness]:
        name = stage.environment
        if name not in self._harnesses:
            self._harnesses[name] = [Harness(handler) for handler in self._handlers(name)]
        return self._harnesses[name]

    def _handlers(self, environment: str) -> Sequence[Any]:
        if self._graph.components.environments[environment].urn != python_urns.EMBEDDED_PYTHON:
            return self._manager.get_worker_handlers(environment, self._count)
        return self._start_here() if self._count == 1 else self._start_processes()

    def _start_here(self) -> list[InProcessHandler]:
        handler = InProcessHandler(self._state, self._provision, self._manager)
        self._here.append(handler)
        return [handler]

    def _start_processes(self) -> list[ProcessHandler]:
        if self._server is None:
            self._server = HarnessServer(self._state, self._manager)
        server = self._server
        started = [ProcessHandler(self._state, server, self._options) for _ in range(self._count)]
        self._processes += started
        for handler in started:
            handler.start_worker()
        return started

    def _end_processes(self) -> None:
        """End all processes, at the same time."""
        ending, self._processes = self._processes, []
        until_s = time.monotonic() + END_S
        for handler in ending:
            handler.dismiss()
        for handler in ending:
            handler.end(until_s)
