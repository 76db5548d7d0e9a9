"""The state service for harnesses in other processes: each bundle is served while it runs.

What a harness writes it sends without waiting for an answer. When its bundle has failed, and the
epoch is taken back, such requests may still be under way: they must not reach the next attempt.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from runners.local.errors import LocalRunnerError
from runners.local.internals import beam_fn_api_pb2, beam_fn_api_pb2_grpc

__all__ = ["StateServer"]


class StateServer(beam_fn_api_pb2_grpc.BeamFnStateServicer):
    """Answers the requests of bundles that run, one at a time, and refuses all others.

    Args:
        state: a ``StateService``.
    """

    def __init__(self, state: Any) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._running: dict[str, LocalRunnerError | None] = {}

    @contextmanager
    def serving(self, instruction: str) -> Iterator[None]:
        """Serve a bundle during the block. Behind it no request of the bundle is under way.

        Raises:
            LocalRunnerError: the bundle has failed because its state could not be used.
        """
        with self._lock:
            self._running[instruction] = None
        try:
            yield
        except Exception as error:
            cause = self._running[instruction]
            if cause is not None:
                raise cause from error
            raise
        finally:
            with self._lock:
                del self._running[instruction]

    def State(self, requests: Iterable[Any], context: Any) -> Iterator[Any]:  # noqa: N802, ARG002
        """Answer the requests of one harness."""
        return map(self._answer, requests)

    def _answer(self, request: Any) -> Any:
        response = beam_fn_api_pb2.StateResponse(id=request.id)
        instruction = request.instruction_id
        with self._lock:
            if instruction not in self._running:
                response.error = f"{instruction or 'a request of no bundle'} does not run any more"
                return response
            try:
                self._act(request, response)
            except Exception as error:  # noqa: BLE001 - the harness raises it where it waits
                response.error = f"{type(error).__name__}: {error}"
                if isinstance(error, LocalRunnerError):
                    self._running[instruction] = self._running[instruction] or error
        return response

    def _act(self, request: Any, response: Any) -> None:
        kind = request.WhichOneof("request")
        if kind == "get":
            data, token = self._state.get_raw(request.state_key, request.get.continuation_token)
            response.get.data = data
            if token is not None:
                response.get.continuation_token = token
        elif kind == "append":
            self._state.append_raw(request.state_key, request.append.data)
            response.append.SetInParent()
        elif kind == "clear":
            self._state.clear(request.state_key)
            response.clear.SetInParent()
        else:
            raise NotImplementedError(f"State can't be asked to {kind}: no harness of Python's")
