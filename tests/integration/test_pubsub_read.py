"""Read against a real broker: every message once, acknowledged only by the commit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from google.cloud import pubsub_v1

from connectors import memory, pubsub, retry
from connectors.broker import Broker
from connectors.identity import IDENTITY_SCHEMA, count_common
from connectors.pubsub.keeper import LeaseKeeper
from connectors.pubsub.read import OUTAGE, DrainSubscription
from connectors.run import Limits, Run
from tests.processes import BrokerProcess, wait_until
from tests.pubsub_servers import (
    SUBSCRIPTION,
    TOPIC,
    create,
    publish,
    unacknowledged,
    waiting,
    without_extension,
)
from transforms import metrics
from transforms.batch import Batch
from transforms.errors import ConfigError, TransientError
from transforms.message import MESSAGE_SCHEMA

pytestmark = pytest.mark.integration

ACK_DEADLINE_S = 10  # the least that Pub/Sub knows


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a broker in this process, with the topic and the subscription."""
    with Broker(data_dir=tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create()
        yield broker.address


@pytest.fixture
def counts() -> Iterator[dict[str, int]]:
    """Count what the metrics are told."""
    told: dict[str, int] = {}

    def watcher(metric: metrics.Metric, number: int) -> None:
        told[metric.name] = told.get(metric.name, 0) + number

    metrics.watch(watcher)
    yield told
    metrics.unwatch(watcher)


def execute(run: Run, **source: str) -> list[int]:
    """Run a pipeline that only reads; return the numbers that arrived, sorted."""
    with beam.Pipeline(FnApiRunner(), PipelineOptions(run.options())) as pipeline:
        batches = pipeline | pubsub.Read(**(source or {"subscription": SUBSCRIPTION}))
        batches | memory.Write("out")
    return numbers(memory.written("out"))


def reading(run: Run, outage: retry.Backoff = OUTAGE) -> Iterator[Batch]:
    """Read without a runner, batch by batch, so that a test can act in between."""
    reader = DrainSubscription(run.id, SUBSCRIPTION, None, outage=outage)
    for element in reader.process(b""):
        yield element.value


def numbers(batches: list[Batch]) -> list[int]:
    """Return the published numbers, sorted."""
    return sorted(int(data) for batch in batches for data in batch.column("data").to_pylist())


def identities(batches: list[Batch]) -> pa.Table:
    """Return what a commit remembers of messages."""
    return pa.Table.from_batches([batch.rows for batch in batches]).select(IDENTITY_SCHEMA.names)


def test_a_backlog_is_drained_and_acknowledged_by_the_commit(
    address: str, counts: dict[str, int]
) -> None:
    """Every message arrives once; until the commit all are owed, after it none."""
    publish(50_000)
    with Run() as run:
        assert execute(run) == list(range(50_000))
        assert unacknowledged(address) == 50_000
        commit = run.commit({})
    assert commit.sources == {SUBSCRIPTION: 50_000}
    assert unacknowledged(address) == 0
    assert counts["messages_read"] == 50_000
    assert "messages_redelivered" not in counts


def test_an_empty_subscription_ends_at_once(address: str) -> None:
    """Nothing there is nothing read, without waiting for an ack deadline."""
    with Run() as run:
        assert execute(run) == []
        run.commit({})


def test_a_run_that_fails_gives_everything_back(address: str) -> None:
    """Without a commit nothing is acknowledged, and the next run need not wait for leases."""
    publish(3_000)
    with Run() as run:
        assert len(execute(run)) == 3_000
    assert unacknowledged(address) == 3_000
    with Run() as run:
        assert execute(run) == list(range(3_000))


def test_a_reader_that_is_abandoned_gives_back_what_it_asked_for_ahead(address: str) -> None:
    """A step that fails while the next batch is on its way loses neither."""
    publish(30_000)
    with Run() as run:
        batches = reading(run)
        next(batches)
        batches.close()
    with Run() as run:
        assert execute(run) == list(range(30_000))


def test_max_messages_is_exact(address: str) -> None:
    """Not one message more than asked for is taken; the rest waits for the next run."""
    publish(20_000)
    with Run(Limits(max_messages=12_345)) as run:
        first = execute(run)
        run.commit({})
    assert len(first) == 12_345
    assert unacknowledged(address) == 7_655
    with Run() as run:
        assert sorted(first + execute(run)) == list(range(20_000))


def test_max_seconds_ends_the_wait_for_another_reader(address: str) -> None:
    """Messages that someone else holds are waited for, but not beyond the limit."""
    publish(10)
    with Run() as other:
        assert len(execute(other)) == 10
        with Run(Limits(max_seconds=1.5)) as run:
            assert execute(run) == []


def test_messages_of_another_reader_are_read_when_it_fails(address: str) -> None:
    """A read waits for what others hold, and gets it as soon as they give it back."""
    publish(10)
    other = Run()
    with other:
        assert len(execute(other)) == 10
        arrived: list[list[int]] = []

        def read() -> None:
            with Run() as run:
                arrived.append([number for batch in reading(run) for number in numbers([batch])])

        thread = threading.Thread(target=read)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(ACK_DEADLINE_S)
    assert arrived == [list(range(10))]


def test_leases_live_as_long_as_the_run(address: str, counts: dict[str, int]) -> None:
    """Work that takes longer than the ack deadline causes no redelivery, to nobody."""
    publish(100)
    with Run() as run:
        assert len(execute(run)) == 100
        with Run(Limits(max_seconds=ACK_DEADLINE_S + 1.5)) as other:
            assert execute(other) == []
        run.commit({})
    assert unacknowledged(address) == 0
    assert "messages_redelivered" not in counts


def test_expired_leases_are_redelivered_dropped_and_acknowledged(
    address: str, counts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message whose lease was lost comes again: it enters once, and is acknowledged."""
    monkeypatch.setattr(LeaseKeeper, "_extend", lambda _: None)
    publish(20_000)
    with Run() as run:
        batches = reading(run)
        arrived = [next(batches)]
        wait_until(lambda: waiting(address) == 20_000, ACK_DEADLINE_S + 5)
        arrived += batches
        assert numbers(arrived) == list(range(20_000))
        assert counts["messages_redelivered"] >= len(arrived[0])
        run.commit({})
    assert unacknowledged(address) == 0


def test_a_broker_that_is_killed_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: dict[str, int]
) -> None:
    """Reading goes on after an outage: nothing is lost, nothing enters twice, all is committed."""
    with BrokerProcess(tmp_path) as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create()
        publish(100_000)
        with Run() as run:
            batches = reading(run)
            arrived = [next(batches), next(batches)]
            broker.kill()
            back = threading.Timer(1.0, broker.start)
            back.start()
            arrived += batches
            back.join()
            assert numbers(arrived) == list(range(100_000))
            run.commit({})
        assert counts["messages_redelivered"] >= len(arrived[0])
        assert unacknowledged(broker.address) == 0


def test_a_broker_that_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When patience ends the read fails, saying what to do; nothing was acknowledged."""
    with BrokerProcess(tmp_path) as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create()
        publish(100_000)
        with Run() as run:
            batches = reading(run, outage=retry.Backoff(patience_s=1.0))
            next(batches)
            broker.kill()
            with pytest.raises(TransientError, match=r"python -m connectors\.broker"):
                list(batches)
        broker.start()
        assert unacknowledged(broker.address) == 100_000


def test_messages_of_an_earlier_commit_are_acknowledged_but_not_read(
    address: str, counts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a run that died between commit and acknowledgement only new messages enter."""
    publish(100)
    with Run() as died:
        arrived = list(reading(died))
    committed = identities(arrived)
    publish(50, first=100)
    monkeypatch.setattr(Run, "committed_messages", lambda _, name: committed)
    counts.clear()
    with Run() as run:
        assert execute(run) == list(range(100, 150))
        assert run.commit({}).sources == {SUBSCRIPTION: 50}
    assert counts["messages_redelivered"] == 100
    assert unacknowledged(address) == 0


def test_a_message_is_the_same_by_either_api(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Id and publish time don't tell which way a message came, to the microsecond."""
    publish(1_000)
    with Run() as run:
        ours = identities(list(reading(run)))
    with without_extension(address) as standard, Run(Limits(max_messages=1_000)) as run:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", standard)
        theirs = identities(list(reading(run)))
    assert count_common(ours, theirs) == len(ours) == 1_000


def test_the_standard_api_serves_as_well(
    address: str, monkeypatch: pytest.MonkeyPatch, counts: dict[str, int]
) -> None:
    """A server without our extension is read by Pull: every message once, all acknowledged.

    It does not say when nothing is left: the read ends when the ack deadline is over.
    """
    publish(20_000)
    with without_extension(address) as standard, Run() as run:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", standard)
        assert execute(run) == list(range(20_000))
        run.commit({})
    assert counts["messages_read"] == 20_000
    assert "messages_redelivered" not in counts
    assert unacknowledged(address) == 0


def test_max_messages_is_exact_by_the_standard_api(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several Pulls at once ask together for no more than the limit."""
    publish(5_000)
    with without_extension(address) as standard, Run(Limits(max_messages=2_345)) as run:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", standard)
        assert len(execute(run)) == 2_345
        run.commit({})
    assert unacknowledged(address) == 2_655


def test_a_run_that_fails_gives_everything_back_by_the_standard_api(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a commit every acknowledgement id is given back at once."""
    publish(3_000)
    with without_extension(address) as standard:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", standard)
        with Run(Limits(max_messages=3_000)) as run:
            assert len(execute(run)) == 3_000
        with Run(Limits(max_messages=3_000)) as run:
            assert execute(run) == list(range(3_000))


def test_a_topic_is_read_from_now_on(address: str) -> None:
    """A topic's temporary subscription sees what comes after it, and is deleted in the end."""
    publish(10)
    with pubsub_v1.PublisherClient() as publisher, Run(Limits(max_messages=10)) as run:

        def subscriptions() -> list[str]:
            return list(publisher.list_topic_subscriptions(topic=TOPIC))

        late = threading.Thread(
            target=lambda: (wait_until(lambda: len(subscriptions()) == 2, 10), publish(10, 10))
        )
        late.start()
        assert execute(run, topic=TOPIC) == list(range(10, 20))
        late.join()
        run.commit({})
        assert subscriptions() == [SUBSCRIPTION]


def test_messages_of_the_stock_client_arrive_whole(address: str) -> None:
    """What Google's client publishes, with attributes and ordering key, is what is read."""
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    publisher = pubsub_v1.PublisherClient(publisher_options=options)
    message_id = publisher.publish(
        TOPIC, b"\x00payload", ordering_key="k", a="1", b="\u00e4"
    ).result()
    with Run() as run:
        batch = Batch.concat(list(reading(run)))
    assert batch.schema == MESSAGE_SCHEMA
    (row,) = batch.to_pylist()
    assert row["data"] == b"\x00payload"
    assert dict(row["attributes"]) == {"a": "1", "b": "\u00e4"}
    assert row["message_id"] == message_id
    assert row["ordering_key"] == "k"
    assert row["delivery_attempt"] is None


def test_ten_megabytes_in_one_message(address: str) -> None:
    """The largest message that Pub/Sub takes is read, alone or among small ones."""
    payload = b"9" * 9_999_000
    with pubsub_v1.PublisherClient() as publisher:
        for data in (b"1", payload, b"2", payload):
            publisher.publish(TOPIC, data).result()
    with Run() as run:
        sizes = [len(data) for batch in reading(run) for data in batch.column("data").to_pylist()]
    assert sorted(sizes) == [1, 1, len(payload), len(payload)]


def test_a_missing_subscription_says_how_to_create_it(address: str) -> None:
    """The pipeline is refused before it starts."""
    name = "projects/test-project/subscriptions/missing"
    with Run() as run, pytest.raises(ConfigError, match=r"does not exist.*create_subscription"):
        execute(run, subscription=name)


def test_a_broker_that_is_not_there_says_how_to_start_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address and the command are named, after a short wait for a broker that starts."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setattr("connectors.pubsub.admin.CONNECT_BACKOFF", retry.Backoff(patience_s=0.5))
    with Run() as run, pytest.raises(TransientError, match=r"127\.0\.0\.1:1.*--port 1 "):
        execute(run)
