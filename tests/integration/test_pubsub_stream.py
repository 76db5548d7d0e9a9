"""Reading without end against a real broker, driven call by call as a durable runner would."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.cloud import pubsub_v1

from connectors import pubsub
from connectors.broker import Broker
from connectors.pubsub import names, reader
from connectors.pubsub.keeper import LeaseKeeper
from connectors.pubsub.stream import CALL_ROWS_MAX, QUIET_S, Subscribe
from tests.processes import BrokerProcess, wait_until
from tests.pubsub_servers import (
    SUBSCRIPTION,
    TOPIC,
    create,
    publish,
    unacknowledged,
    without_extension,
)
from tests.stream_driver import Driver
from transforms import metrics
from transforms.errors import ConfigError
from transforms.field import message

pytestmark = pytest.mark.integration

ACK_DEADLINE_S = 10
LIMIT_S = ACK_DEADLINE_S + 10.0


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a broker in this process, with the topic and the subscription."""
    with Broker(data_dir=tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create()
        yield broker.address


@pytest.fixture(params=["our broker", "standard"])
def either(
    request: pytest.FixtureRequest, address: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Read by our extension and by the standard API; yield the broker's own address."""
    if request.param == "our broker":
        yield address
        return
    with without_extension(address) as standard:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", standard)
        yield address


@pytest.fixture
def driver() -> Iterator[Driver]:
    """Return a runner of one source, which is closed in the end."""
    driver = Driver(SUBSCRIPTION)
    yield driver
    driver.close()


@pytest.fixture
def counts() -> Iterator[dict[str, int]]:
    """Count what the metrics are told; of a gauge, add up what it showed."""
    told: dict[str, int] = {}

    def watcher(metric: metrics.Metric, number: int) -> None:
        told[metric.name] = told.get(metric.name, 0) + number

    metrics.watch(watcher)
    yield told
    metrics.unwatch(watcher)


def run_until(driver: Driver, condition: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Call and commit until a condition holds."""

    def turn() -> bool:
        driver.call()
        driver.commit()
        return condition()

    wait_until(turn, limit_s)


def emit(driver: Driver, count: int) -> None:
    """Call until so many messages were emitted in this epoch."""
    emitted = 0

    def turn() -> bool:
        nonlocal emitted
        emitted += driver.call()
        return emitted >= count

    wait_until(turn, LIMIT_S)


def test_messages_come_once_and_are_acknowledged(either: str, driver: Driver) -> None:
    """What is published before and meanwhile takes effect; then nothing is owed any more."""
    publish(30_000)
    run_until(driver, lambda: len(driver.numbers) >= 20_000)
    publish(5_000, first=30_000)
    run_until(driver, lambda: len(driver.numbers) >= 35_000)
    assert driver.numbers == list(range(35_000))
    wait_until(lambda: unacknowledged(either) == 0, LIMIT_S)


def test_nothing_is_acknowledged_before_the_commit(either: str, driver: Driver) -> None:
    """Emitted is not safe: only the commit is."""
    publish(1_000)
    emit(driver, 1_000)
    time.sleep(0.2)  # an acknowledgement would take a few milliseconds
    assert unacknowledged(either) == 1_000
    driver.commit()
    wait_until(lambda: unacknowledged(either) == 0, LIMIT_S)


def test_a_rollback_gives_back_at_once(either: str, driver: Driver) -> None:
    """Messages of an epoch that failed come again, long before their leases would expire."""
    publish(1_000)
    emit(driver, 1_000)
    started_s = time.monotonic()
    driver.rollback()
    run_until(driver, lambda: len(driver.numbers) >= 1_000)
    assert time.monotonic() - started_s < ACK_DEADLINE_S / 2
    assert driver.numbers == list(range(1_000))


def test_a_crash_before_the_commit_loses_nothing(either: str, driver: Driver) -> None:
    """The messages come again when the leases of the dead process expire."""
    publish(1_000)
    emit(driver, 1_000)
    driver.crash()
    run_until(driver, lambda: len(driver.numbers) >= 1_000)
    assert driver.numbers == list(range(1_000))
    wait_until(lambda: unacknowledged(either) == 0, LIMIT_S)


def test_a_crash_before_the_acknowledgement_repeats_nothing(either: str, driver: Driver) -> None:
    """The messages are known from what was committed; they are acknowledged and dropped."""
    publish(1_000)
    emit(driver, 1_000)
    driver.commit(finalize=False)
    driver.crash()
    publish(10, first=1_000)
    run_until(driver, lambda: unacknowledged(either) == 0)
    assert driver.numbers == list(range(1_010))
    run_until(driver, lambda: driver.unsettled == 0)


def test_leases_that_expire_repeat_nothing(
    address: str, driver: Driver, monkeypatch: pytest.MonkeyPatch, counts: dict[str, int]
) -> None:
    """A message that comes again while its bundle waits for the commit enters once."""
    monkeypatch.setattr(LeaseKeeper, "_extend", lambda _: None)
    publish(1_000)
    emit(driver, 1_000)
    assert "messages_redelivered" not in counts

    def redelivered() -> bool:
        driver.call()
        return counts.get("messages_redelivered") == 1_000

    wait_until(redelivered, LIMIT_S)
    driver.commit()
    publish(1, first=1_000)
    run_until(driver, lambda: len(driver.numbers) > 1_000)
    assert driver.numbers == list(range(1_001))
    wait_until(lambda: unacknowledged(address) == 0, LIMIT_S)


def test_leases_live_while_an_epoch_takes_long(address: str, driver: Driver) -> None:
    """Work that takes longer than the ack deadline causes no redelivery."""
    publish(10)
    emit(driver, 10)
    time.sleep(ACK_DEADLINE_S + 1.5)
    with Driver(SUBSCRIPTION) as other:
        assert other.call() == other.call() == 0
    driver.commit()
    wait_until(lambda: unacknowledged(address) == 0, LIMIT_S)


def test_a_runner_may_split_a_call(address: str, driver: Driver) -> None:
    """What the call had not taken comes with the next one, in this process or another."""
    publish(40_000)
    wait_until(lambda: driver.call(deliveries=1) > 0, LIMIT_S)
    assert 0 < len(driver.epoch.emitted) < 5
    run_until(driver, lambda: len(driver.numbers) >= 40_000)
    assert driver.numbers == list(range(40_000))
    wait_until(lambda: unacknowledged(address) == 0, LIMIT_S)


def test_a_call_is_bounded(address: str, driver: Driver) -> None:
    """However large the backlog: so many messages are done again after a failure, at most."""
    publish(100_000)
    wait_until(lambda: driver.call() > 0, LIMIT_S)
    rows = sum(len(element.value) for element in driver.epoch.emitted)
    assert rows < CALL_ROWS_MAX + 8_192
    assert driver.epoch.delay is None or driver.epoch.delay.micros <= 0


def test_an_idle_source_is_asked_less_and_less(
    address: str, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that find nothing return at once, with a growing pause after each."""
    delays = []
    for _ in range(12):
        started_s = time.monotonic()
        driver.call()
        assert time.monotonic() - started_s < 0.5
        assert driver.epoch.delay is not None
        delays.append(round(driver.epoch.delay.micros / 1_000))
    assert delays[0] <= 5
    assert delays[-1] in range(95, 101)
    assert delays == sorted(delays)
    monkeypatch.setattr(reader, "IDLE_S", 0.0)
    driver.call()
    assert driver.epoch.delay.micros / 1e6 == pytest.approx(QUIET_S, abs=0.02)


def test_the_watermark_waits_for_the_oldest_message(address: str, driver: Driver) -> None:
    """It follows the clock when all is acknowledged, and no batch is ever behind it."""
    publish(1_000)
    emit(driver, 1_000)
    published = driver.epoch.emitted[0].timestamp
    driver.call()
    assert driver.epoch.watermark == published
    driver.commit()
    before = time.time()
    run_until(driver, lambda: float(driver._watermark or 0) >= before)
    publish(10, first=1_000)
    emit(driver, 10)
    assert driver.epoch.emitted[-1].timestamp >= before


def test_messages_of_a_dead_reader_hold_the_watermark(address: str, driver: Driver) -> None:
    """Newer messages don't make those late that come again."""
    publish(10)
    emit(driver, 10)
    oldest = driver.epoch.emitted[0].timestamp
    driver.crash()
    publish(10, first=10)
    run_until(driver, lambda: len(driver.numbers) >= 10)
    assert driver.numbers == list(range(10, 20))
    assert driver._watermark == oldest
    run_until(driver, lambda: len(driver.numbers) >= 20)
    run_until(driver, lambda: driver._watermark > oldest)


def test_a_broker_that_is_killed_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The runner goes on meanwhile; nothing is lost, nothing repeated."""
    with BrokerProcess(tmp_path) as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create()
        with Driver(SUBSCRIPTION) as driver:
            publish(10_000)
            run_until(driver, lambda: len(driver.numbers) > 0)
            publish(40_000, first=10_000)
            emit(driver, 1)
            broker.kill()
            longest_s = 0.0
            for _ in range(20):
                started_s = time.monotonic()
                driver.call()
                driver.commit()
                longest_s = max(longest_s, time.monotonic() - started_s)
                time.sleep(0.02)
            assert longest_s < 1.0
            broker.start()
            run_until(driver, lambda: len(driver.numbers) >= 50_000, 30)
            run_until(driver, lambda: unacknowledged(broker.address) == 0, 30)
            assert driver.numbers == list(range(50_000))
        assert "reading goes on when it is back" in caplog.text


def test_a_subscription_that_is_deleted_ends_the_job(address: str, driver: Driver) -> None:
    """It won't come back: the error says what is missing."""
    driver.call()
    pubsub.delete_subscription(SUBSCRIPTION)
    with pytest.raises(ConfigError, match="does not exist"):
        run_until(driver, lambda: False)


def test_drain_acknowledges_and_ends(address: str, driver: Driver) -> None:
    """The last call reads nothing more; what was committed is acknowledged."""
    publish(100)
    emit(driver, 100)
    driver.commit(finalize=False)
    publish(5, first=100)
    driver.drain()
    wait_until(lambda: unacknowledged(address) == 5, LIMIT_S)
    assert driver.numbers == list(range(100))
    assert driver.epoch.delay is None


def test_closing_gives_everything_back(address: str) -> None:
    """Whoever reads next does not wait for leases of a job that was suspended."""
    publish(30_000)
    driver = Driver(SUBSCRIPTION)
    emit(driver, 1)
    started_s = time.monotonic()
    driver.close()
    assert time.monotonic() - started_s < 2.0
    assert not any(thread.name == "lease-keeper" for thread in threading.enumerate())
    with Driver(SUBSCRIPTION) as other:
        run_until(other, lambda: len(other.numbers) >= 30_000, ACK_DEADLINE_S / 2)
        assert other.numbers == list(range(30_000))


def test_a_topic_has_a_subscription_of_the_job(address: str) -> None:
    """It is created once, outlives a crash, and is deleted when the job has drained."""
    name = names.job_subscription(TOPIC, "job-1", "Read")
    for _ in range(2):  # a step may be tried again
        assert list(Subscribe(TOPIC, name).process(b"")) == [name]
    with Driver(name, temporary=True) as driver:
        publish(10)
        emit(driver, 10)
        driver.crash()
        run_until(driver, lambda: len(driver.numbers) >= 10)
        driver.drain()
    with pubsub_v1.PublisherClient() as publisher:
        wait_until(
            lambda: list(publisher.list_topic_subscriptions(topic=TOPIC)) == [SUBSCRIPTION], 5
        )


def test_a_first_epoch_that_fails_gives_back(address: str) -> None:
    """Before the first commit there is nothing to go on from, but the same reader does."""
    publish(100)
    with Driver(SUBSCRIPTION) as driver:
        emit(driver, 100)
        driver.rollback()
        emit(driver, 100)
        driver.commit()
        assert driver.numbers == list(range(100))
        assert len(reader._readers) == 1


def test_instances_of_a_step_share_a_reader(address: str) -> None:
    """A runner may give each call to another copy of the DoFn; the last one closes."""
    publish(100)
    with Driver(SUBSCRIPTION) as driver:
        emit(driver, 50)
        first, driver._dofn = driver._dofn, pickle.loads(driver._pickled)
        run_until(driver, lambda: len(driver.numbers) >= 100)
        first.teardown()
        assert len(reader._readers) == 1
        wait_until(lambda: unacknowledged(address) == 0, LIMIT_S)
    assert reader._readers == {}


def test_event_time_of_a_dead_process_goes_on(address: str) -> None:
    """What was committed moves the watermark later, although no further message comes."""
    publish(10)
    strategy = pubsub.EventTime(message("publish_time"), 0.0)
    with Driver(SUBSCRIPTION, strategy) as driver:
        emit(driver, 10)
        latest = driver.epoch.emitted[-1].timestamp
        driver.commit(finalize=False)
        assert driver._watermark is None
        driver.crash()
        run_until(driver, lambda: driver._watermark == latest)
