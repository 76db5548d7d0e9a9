"""Order and exactly-once acks through kills of the broker."""

import itertools
import os
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher import PublisherClient

from tests.processes import BrokerProcess

pytestmark = [pytest.mark.chaos, pytest.mark.integration, pytest.mark.timeout(300)]

T, S = "projects/p/topics/orders", "projects/p/subscriptions/orders"
KEYS = "abcde"
LIVES = 5
# A kill shows as one of these; whether the request has counted is not known then.
KILLED = (exceptions.ServiceUnavailable, exceptions.Unknown, exceptions.RetryError)


class Consumer:
    """What one who keeps books has seen."""

    def __init__(self, *, exactly_once: bool) -> None:
        self.exactly_once = exactly_once
        self.published: Counter[str] = Counter()
        self.newest: Counter[str] = Counter()
        self.confirmed: set[str] = set()

    def publish(self, publisher: Any, key: str, count: int) -> None:
        """Publish the next numbers of a key; after a kill they are published again."""
        first = self.published[key] + 1
        messages = [{"data": b"%d" % (first + n), "ordering_key": key} for n in range(count)]
        PublisherClient.publish(publisher, topic=T, messages=messages, retry=None)
        self.published[key] += count

    def receive(self, subscriber: Any, count: int) -> list[Any]:
        """Pull, and check what comes."""
        request = {"subscription": S, "max_messages": count, "return_immediately": True}
        received = list(subscriber.pull(request=request, retry=None).received_messages)
        for each in received:
            key, number = each.message.ordering_key, int(each.message.data)
            assert number <= self.newest[key] + 1, "one before it was left out"
            self.newest[key] = max(self.newest[key], number)
            assert not self.exactly_once or each.message.message_id not in self.confirmed
        for key in KEYS:
            numbers = [int(e.message.data) for e in received if e.message.ordering_key == key]
            # Going back is the repetition of a publish that was not answered.
            assert all(later <= each + 1 for each, later in itertools.pairwise(numbers))
        return received

    def settle(self, subscriber: Any, received: list[Any], chance: random.Random) -> None:
        """Ack some, give the others back."""
        acked = [each for each in received if chance.random() < 0.9]
        if acked:
            try:
                ids = [each.ack_id for each in acked]
                subscriber.acknowledge(subscription=S, ack_ids=ids, retry=None)
            except exceptions.InvalidArgument as error:
                assert self.exactly_once
                acked = [each for each in acked if each.ack_id not in error.metadata]
            self.confirmed |= {each.message.message_id for each in acked}
        ids = [each.ack_id for each in received if each not in acked]
        if ids:
            try:
                subscriber.modify_ack_deadline(
                    subscription=S, ack_ids=ids, ack_deadline_seconds=0, retry=None
                )
            except exceptions.InvalidArgument:
                assert self.exactly_once  # a later message of a key that is nacked by the earlier


def work(consumer: Consumer, chance: random.Random) -> None:
    """Publish and consume until the broker is killed."""
    with pubsub_v1.PublisherClient() as publisher, pubsub_v1.SubscriberClient() as subscriber:
        try:
            while True:
                for _ in range(chance.randint(1, 5)):
                    consumer.publish(publisher, chance.choice(KEYS), chance.randint(1, 4))
                received = consumer.receive(subscriber, chance.randint(1, 30))
                consumer.settle(subscriber, received, chance)
        except KILLED:
            return


@pytest.mark.parametrize("exactly_once", [False, True])
def test_order_survives_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exactly_once: bool
) -> None:
    """No message comes before its predecessors, and none again that was acked exactly once."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    consumer = Consumer(exactly_once=exactly_once)
    server = BrokerProcess(tmp_path / "data")
    monkeypatch.setitem(os.environ, "PUBSUB_EMULATOR_HOST", server.address)
    with server, pubsub_v1.PublisherClient() as publisher:
        publisher.create_topic(name=T)
        fields = {"enable_message_ordering": True, "enable_exactly_once_delivery": exactly_once}
        with pubsub_v1.SubscriberClient() as subscriber:
            subscriber.create_subscription(request={"name": S, "topic": T, **fields})
    for _ in range(LIVES):
        server.start()
        killer = threading.Timer(chance.uniform(0.2, 0.8), server.kill)
        killer.start()
        work(consumer, chance)
        killer.join()
    with server, pubsub_v1.SubscriberClient() as subscriber:
        while received := consumer.receive(subscriber, 1_000):
            ids = [each.ack_id for each in received]
            subscriber.acknowledge(subscription=S, ack_ids=ids)
    assert consumer.newest
    assert all(consumer.newest[key] >= consumer.published[key] for key in KEYS)
