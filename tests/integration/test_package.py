"""What Dataflow's workers install: the distribution that setup.py makes."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.processes import ROOT

pytestmark = pytest.mark.integration

PACKAGES = ("transforms", "connectors", "pipelines", "templates", "runners")


def test_source_distribution_holds_every_module_and_schema(tmp_path: Path) -> None:
    """Each Python file and each data file of the packages is in it, and no test."""
    build = ["setup.py", "--quiet", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(
        [sys.executable, *build, "sdist", "--dist-dir", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".html", ".json")
    }
    assert wanted <= names
    assert not {name for name in names if name.startswith(("tests/", "benchmarks/"))}
