"""The code of the first pages works as it stands there, in processes of its own."""

import re
from collections import defaultdict
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from connectors import pubsub
from pipelines.demo import flights
from tests.pages import PAGES, blocks
from tests.processes import ROOT, BrokerProcess, run_pipeline, start_pipeline, wait_until

pytestmark = pytest.mark.integration

TOPIC = "projects/demo/topics/flights"
SUBSCRIPTION = "projects/demo/subscriptions/delays"


def code_blocks(page: str, language: str) -> list[str]:
    return [block.text for block in blocks(f"docs/{page}.md") if block.kind == language]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_left_to_fill_in(page: str) -> None:
    """No placeholder of a figure or an output is published."""
    assert "@@" not in (ROOT / page).read_text()


def flags_of(command: str, folder: Path) -> list[str]:
    """Return the flags of a command, with its folders below another one."""
    flags = re.findall(r"--\w+=\S+", command)
    return [flag.replace("'", "").replace("=./", f"={folder}/") for flag in flags]


def test_main_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client code and the flags of the main job give one flight and one dead letter."""
    started = "$ python -m pipelines.pubsub_to_lake"
    command = next(block for block in code_blocks("start", "console") if block.startswith(started))
    argv = flags_of(command, tmp_path)
    with BrokerProcess(tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        exec(code_blocks("start", "python")[0], {})
        log = tmp_path / "log"
        module = "pipelines.pubsub_to_lake"
        status = run_pipeline(module, broker.address, argv, log, limit_s=60)
        assert status == 0, log.read_text()
    check_result(tmp_path)


def check_result(folder: Path) -> None:
    """Check that one flight is in the lake, and what was no flight among the dead letters."""
    files = sorted((folder / "lake").rglob("*.parquet"))
    lake = ds.dataset(files, partitioning=ds.partitioning(flavor="hive")).to_table().to_pylist()
    assert [row["event_id"] for row in lake] == ["UA1545"]
    assert str(lake[0]["date"]) == "2013-01-01"
    (dead,) = (
        ds.dataset(sorted((folder / "dead_letters").rglob("*.parquet"))).to_table().to_pylist()
    )
    assert dead["data"] == b"not a flight"


def test_job_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command for the local runner goes on until SIGTERM, goes on again, and drains."""
    command = next(
        block for block in code_blocks("start", "console") if "--runner=local" in block[:80]
    )
    argv = [*flags_of(command, tmp_path), "--log_every=200ms"]
    log = tmp_path / "log"
    with BrokerProcess(tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        exec(code_blocks("start", "python")[0], {})
        for more in ([], ["--on_stop=drain"]):
            said = log.read_text().count("3 read") if log.exists() else 0
            process = start_pipeline(
                "pipelines.pubsub_to_lake", broker.address, [*argv, *more], log
            )
            wait_until(lambda said=said: log.read_text().count("3 read") > said, 60)  # type: ignore[misc]
            process.terminate()
            assert process.wait(60) == 0, log.read_text()
    assert "suspended" in log.read_text()
    assert "drained" in log.read_text()
    check_result(tmp_path)


def test_pipeline_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example is complete: saved to a file and started, it gives the right answer."""
    code = next(block for block in code_blocks("own_pipeline", "python") if "def build" in block)
    (tmp_path / "carrier_delays.py").write_text(code)
    events = flights.events(2_000)
    with BrokerProcess(tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        pubsub.create_topic(TOPIC)
        pubsub.create_subscription(SUBSCRIPTION, TOPIC)
        with pubsub.Publisher(TOPIC) as publisher:
            publisher.publish(flights.messages(events))
        argv = [f"--subscription={SUBSCRIPTION}"]
        log = tmp_path / "log"
        monkeypatch.chdir(tmp_path)
        status = run_pipeline("carrier_delays", broker.address, argv, log, limit_s=60, cwd=tmp_path)
        assert status == 0, log.read_text()
    expected: dict[str, int] = defaultdict(int)
    for carrier in events["carrier"]:
        expected[carrier] += 1
    table = ds.dataset(sorted((tmp_path / "delays").rglob("*.parquet"))).to_table()
    found: dict[str, int] = defaultdict(int)
    for row in table.to_pylist():
        found[row["carrier"]] += row["flights"]
    assert found == expected
    by_hour = events.groupby([events["departure"].dt.floor("h"), "carrier"])["dep_delay"].mean()
    for row in table.to_pylist():
        mean = by_hour[row["window_start"], row["carrier"]]
        assert row["delay_min"] == pytest.approx(mean) or str(mean) in ("<NA>", "nan")
