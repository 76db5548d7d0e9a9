"""A lake keeps its levels of folders."""

from pathlib import Path

import pytest

from connectors.lake.existing import require_same_levels
from connectors.lake.partition import Partition
from transforms.errors import ConfigError


def lake(root: Path, *files: str) -> str:
    """Return a folder with files."""
    for each in files:
        (root / each).parent.mkdir(parents=True, exist_ok=True)
        (root / each).touch()
    return str(root)


@pytest.mark.parametrize(
    ("files", "levels"),
    [
        ([], "date(at),carrier"),
        (["_lake/run-1", ".hidden=1/a.parquet"], "carrier"),
        (["a.parquet", "_lake/x=1"], ""),
        (["date=2013-01-01/carrier=UA/a.parquet"], "date(at),carrier"),
        (["a%20b=1/x.parquet"], "a b"),
        (["carrier=a=b/x.parquet"], "carrier"),
    ],
)
def test_same_levels_pass(tmp_path: Path, files: list[str], levels: str) -> None:
    """So do a new folder, and what is no part of the lake."""
    require_same_levels(lake(tmp_path, *files), Partition.parse(levels))


@pytest.mark.parametrize(
    ("files", "levels", "found"),
    [
        (["a.parquet"], "carrier", "such as a.parquet"),
        (["carrier=UA/a.parquet"], "", "such as carrier=UA"),
        (["carrier=UA/a.parquet"], "date(at)", "such as carrier=UA"),
        (["date=2013-01-01/a.parquet"], "date(at),carrier", "such as date=2013-01-01/a.parquet"),
        (["date=2013-01-01/carrier=UA/a.parquet"], "date(at)", "2013-01-01/carrier=UA"),
        (["date=2013-01-01/carrier=UA/a.parquet"], "carrier,date(at)", "such as date=2013-01-01"),
    ],
)
def test_other_levels_are_refused(
    tmp_path: Path, files: list[str], levels: str, found: str
) -> None:
    """Most readers could not read both as one table."""
    with pytest.raises(ConfigError, match="partition_by") as refusal:
        require_same_levels(lake(tmp_path, *files), Partition.parse(levels))
    assert found in str(refusal.value)
