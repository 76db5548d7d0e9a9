"""One push subscription at work: leases, requests, acks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import aiohttp
import numpy as np

from connectors.broker import limits
from connectors.broker.delivery import Deliveries, Delivery, Want
from connectors.broker.errors import Refusal
from connectors.broker.push.body import request_for, succeeded
from connectors.broker.push.lanes import Lanes, Pushed
from connectors.broker.push.pacing import Pacing
from connectors.broker.push.tokens import Tokens
from connectors.broker.settings import PushSettings
from connectors.broker.state import Subscription

__all__ = ["Pusher"]

_log = logging.getLogger(__name__)

_ANSWER_BYTES_MAX = 4_096


class Pusher:
    """Pushes the messages of a subscription for as long as it says where.

    A message is acknowledged by the status of the answer (``body.succeeded``). Anything else, also
    no answer within the subscription's ack deadline, is a nack.

    Args:
        deliveries: to lease from.
        subscription: a push subscription.
        client: for the requests.
        tokens: for the requests that carry one.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        subscription: Subscription,
        client: aiohttp.ClientSession,
        tokens: Tokens,
    ) -> None:
        self._deliveries, self._subscription = deliveries, subscription
        self._client, self._tokens = client, tokens
        self._loop = asyncio.get_running_loop()
        self._owner = deliveries.owners.join(subscription, "")
        self._pacing = Pacing()
        self._lanes = Lanes(ordered=subscription.settings.ordered)
        self._sending: set[asyncio.Task[None]] = set()
        self._held: dict[int, Pushed] = {}
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Push until cancelled; what is under way then goes back."""
        try:
            while True:
                await self._pause()
                leased = await self._lease()
                while (pushed := self._lanes.next()) is not None:
                    self._send(pushed)
                if not leased:
                    await self._wait()
        finally:
            for task in self._sending:
                task.cancel()
            self._give_back(list(self._held.values()))

    async def _pause(self) -> None:
        await asyncio.sleep(max(self._pacing.resume_s - self._loop.time(), 0))

    async def _lease(self) -> bool:
        """Lease as many messages as may be on their way; return whether there were any.

        Those of them that can't be transformed now go back.
        """
        room = self._pacing.room(len(self._held))
        size_bytes = limits.PUSH_BYTES_MAX - self._subscription.backlog.held(self._owner).size_bytes
        if room == 0 or size_bytes <= 0:
            return False
        # The broker itself holds them: no deadline is needed but that of each request.
        size_bytes = min(size_bytes, limits.RESPONSE_BYTES_MAX)
        want = Want(room, size_bytes, limits.ACK_DEADLINE_S_MAX)
        delivery = self._deliveries.lease(self._subscription, want, self._owner)
        if delivery is None:
            return False
        try:
            left = await self._deliveries.present(self._subscription, delivery)
        except BaseException as error:
            # In nobody's hands, they would be out for as long as a lease lasts.
            self._deliveries.extend(self._subscription, delivery.positions, delivery.generation, 0)
            if not isinstance(error, Refusal):
                raise
            self._slow_down(str(error))
            return True
        for pushed in _each(left) if left else ():
            self._held[pushed.position] = pushed
            self._lanes.add(pushed)
        return True

    async def _wait(self) -> None:
        """Wait until there is something to do."""
        self._freed.clear()
        waits: list[asyncio.Task[Any]] = [self._loop.create_task(self._freed.wait())]
        if self._pacing.room(len(self._held)):
            messages = self._deliveries.wait_for_messages(self._subscription)
            waits.append(self._loop.create_task(messages))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    def _send(self, pushed: Pushed) -> None:
        task = self._loop.create_task(self._attempt(pushed))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _attempt(self, pushed: Pushed) -> None:
        """Send a message, and act on the answer."""
        try:
            failure = await self._sent(pushed)
        except Exception as error:  # noqa: BLE001 - else it would block its key for ever
            _log.exception("a push has failed")
            failure = repr(error)
        if failure is None:
            self._pacing.succeeded()
            self._lanes.done(pushed)
            self._held.pop(pushed.position, None)
        else:
            self._failed(pushed, failure)
        self._freed.set()

    async def _sent(self, pushed: Pushed) -> str | None:
        """Return why a message is not delivered and acknowledged, None if it is."""
        push = self._subscription.settings.push
        failure = await self._post(push, pushed) if push else "it is not pushed any more"
        return await self._acknowledged(pushed) if failure is None else failure

    async def _post(self, push: PushSettings, pushed: Pushed) -> str | None:
        """Return why a request has failed, None if it has not."""
        settings = self._subscription.settings
        counts = self._deliveries.counters.subscription(self._subscription.uid).pushes
        request = request_for(settings, pushed.message, pushed.attempt)
        headers = dict(request.headers)
        token = self._tokens.token(push)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        timeout = aiohttp.ClientTimeout(total=settings.ack_deadline_s)
        try:
            async with self._client.post(
                push.endpoint, data=request.body, headers=headers, timeout=timeout,
                allow_redirects=False,
            ) as response:  # fmt: skip
                await response.content.read(_ANSWER_BYTES_MAX)
                counts[_kind(response.status)] += 1
                return None if succeeded(response.status) else f"status {response.status}"
        except asyncio.TimeoutError:
            counts["deadline_exceeded"] += 1
            return f"no answer within the ack deadline of {settings.ack_deadline_s} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            counts["unreachable"] += 1
            return f"{type(error).__name__}: {error}"

    async def _acknowledged(self, pushed: Pushed) -> str | None:
        try:
            await self._deliveries.ack(self._subscription, *_columns([pushed]))
        except Refusal as error:
            return str(error)
        return None

    def _failed(self, pushed: Pushed, why: str) -> None:
        self._slow_down(why)
        self._give_back([pushed, *self._lanes.failed(pushed)])

    def _slow_down(self, why: str) -> None:
        now_s = self._loop.time()
        pauses = now_s >= self._pacing.resume_s
        self._pacing.failed(now_s)
        if pauses:
            push, pause_s = self._subscription.settings.push, self._pacing.resume_s - now_s
            _log.warning(
                "push of %s to %s failed, %s; next attempt in %.1f s",
                self._subscription.settings.name, push and push.endpoint, why, pause_s,
            )  # fmt: skip

    def _give_back(self, many: Sequence[Pushed]) -> None:
        for pushed in many:
            self._held.pop(pushed.position, None)
        if many:
            self._deliveries.extend(self._subscription, *_columns(many), 0)


def _kind(status: int) -> str:
    """Return the response class of an answer, as Cloud Monitoring names it."""
    if succeeded(status):
        return "ack"
    hundreds = status // 100
    return f"remote_server_{hundreds}xx" if hundreds in (4, 5) else "invalid"


def _each(delivery: Delivery) -> list[Pushed]:
    attempts: list[Any] = [None] * delivery.positions.size
    if delivery.attempts is not None:
        attempts = delivery.attempts.tolist()
    return [
        Pushed(position, delivery.generation, attempt, message)
        for position, attempt, message in zip(
            delivery.positions.tolist(), attempts, delivery.rows.to_pylist(), strict=True
        )
    ]


def _columns(many: Sequence[Pushed]) -> tuple[Any, Any]:
    positions = np.array([each.position for each in many], np.int64)
    return positions, np.array([each.generation for each in many], np.uint32)
