"""A pace is that of the whole job, or it is refused."""

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from connectors.broker import Broker
from pipelines import archive_replay, launch
from pipelines.pacing import Paced
from tests.topics import create, topic
from transforms.errors import ConfigError

# dry_run: Beam would look for the buckets and wait two minutes without a network.
DATAFLOW = [
    "--runner=DataflowRunner", "--project=my-project", "--region=us-central1", "--streaming",
    "--temp_location=gs://my-bucket/t", "--staging_location=gs://my-bucket/s", "--dry_run=True",
]  # fmt: skip


@pytest.mark.parametrize("option", ["--workers=2", "--direct_num_workers=4"])
def test_pace_of_several_processes_is_refused(option: str) -> None:
    """Each of them would keep the pace, so that the job would go several times as fast."""
    pipeline = beam.Pipeline(options=PipelineOptions([option]))
    with pytest.raises(ConfigError, match=rf"--rate=1000.0: .*{option}") as caught:
        Paced(rate=1000.0).paced(pipeline)
    assert "without --rate" in caught.value.fix
    Paced().paced(pipeline)


def test_pace_on_dataflow_is_refused() -> None:
    """Nobody knows how many workers there are."""
    options = PipelineOptions(DATAFLOW)
    with pytest.raises(ConfigError, match=r"--rate=5.0: .*Dataflow"):
        Paced(rate=5.0).paced(beam.Pipeline(options=options))


@pytest.mark.parametrize("option", ["--workers=1", "--direct_num_workers=1"])
def test_pace_of_one_process_is_taken(option: str) -> None:
    """One is the number of them by default."""
    Paced(rate=5.0).paced(beam.Pipeline(options=PipelineOptions([option])))


def test_speed_is_named_as_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pipeline refuses it by its flag, with exit code 2."""
    with Broker(data_dir=tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create("again")
        (tmp_path / "archive").mkdir()
        (tmp_path / "archive" / "a.jsonl").write_text("")
        argv = [
            f"--archive={tmp_path}/archive", f"--output_topic={topic('again')}",
            f"--dead_letter={tmp_path}/dead", "--speed=3", "--workers=3",
            "--runner=local", f"--state_dir={tmp_path}/state",
        ]  # fmt: skip
        assert launch.status(archive_replay, argv) == 2
    assert "error: --speed=" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()
