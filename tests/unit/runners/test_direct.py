"""The bounded runner on this machine."""

import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from runners import direct


@pytest.mark.parametrize("name", [None, "DirectRunner", "directrunner", "FnApiRunner", "direct"])
def test_names_of_the_bounded_runner(name: str | None) -> None:
    """Beam takes runner names in any case, and none at all means the direct one."""
    assert direct.is_bounded(name)


@pytest.mark.parametrize("name", ["DataflowRunner", "FlinkRunner", "BundleBasedDirectRunner", ""])
def test_other_runners_are_left_to_beam(name: str) -> None:
    """A runner that the user names is not replaced by another one."""
    assert not direct.is_bounded(name)


def test_runner_is_the_one_that_needs_no_download() -> None:
    """Beam's own DirectRunner would look for a Go binary on the network first."""
    assert isinstance(direct.bounded_runner(), FnApiRunner)
