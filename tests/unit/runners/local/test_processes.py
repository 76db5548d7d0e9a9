"""Worker processes: what they log is logged here."""

import pytest

from runners.local.processes import _logger_name


@pytest.mark.parametrize(
    ("location", "name"),
    [
        (
            "/lib/python3.11/site-packages/apache_beam/runners/worker/sdk_worker.py:12",
            "apache_beam.runners.worker.sdk_worker",
        ),
        ("/home/me/flights.py:7", "runners.local.processes.flights"),
        ("flights:run", "runners.local.processes.flights"),
        ("", "runners.local.processes."),
    ],
)
def test_logger_is_that_of_the_source(location: str, name: str) -> None:
    """A level that is set for Beam's loggers counts for Beam's code in workers too."""
    assert _logger_name(location) == name
