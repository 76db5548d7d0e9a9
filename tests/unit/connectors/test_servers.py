"""The commands of the servers take flags as the pipelines spell them, and as each other does."""

import pytest

from connectors.bigquery_local.__main__ import main as bigquery_local
from connectors.broker.__main__ import main as broker


@pytest.mark.parametrize("flag", ["--data-dir", "--data_dir"])
def test_the_broker_takes_both(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What it says of the values shows that both were read."""
    with pytest.raises(SystemExit):
        broker([f"{flag}=a_b", "--durability=memory"])
    assert "--data-dir: with --durability=memory nothing is written" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--rest-port", "--rest_port"])
def test_the_local_bigquery_takes_both(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong value is that of the flag, as the server spells it."""
    with pytest.raises(SystemExit):
        bigquery_local([f"{flag}=a_b"])
    said = capsys.readouterr().err
    assert "--rest_port: 'a_b': must be a number" in said
