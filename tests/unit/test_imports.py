"""Imports go one way: the layers of the architecture, walked in the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BEAM = "apache_beam"
CLOUD = ("google.cloud", "google.pubsub_v1", "google.api_core", "grpc")
PACKAGES = ("transforms", "connectors", "pipelines", "templates", "runners")
EXEMPT = {
    ("pipelines/launch.py", "connectors.broker"),
    ("pipelines/launch.py", "runners"),
    ("pipelines/endless.py", "runners"),
    ("templates/image/spec_file.py", "connectors"),  # to a folder or to Cloud Storage
    ("templates/launch/dataflow.py", "connectors"),  # three call a service: same retries
    ("templates/launch/errors.py", "connectors"),
    ("templates/launch/run.py", "connectors"),  # the label of a job that is updated
    ("templates/launch/launched.py", "connectors"),
    ("templates/rehearsal/storage_server.py", "connectors"),  # its client and variable
    ("templates/rehearsal/job_graph.py", BEAM),  # reads graphs in Beam's own model
    ("templates/files/parameter_file.py", "connectors"),  # the broker's reader of YAML with lines
}

# Room -> what it may not import. The first room whose prefix fits a file is the file's room.
FORBIDDEN = {
    "connectors/broker/": (BEAM, "transforms", "connectors", "pipelines", "templates", "runners"),
    "connectors/bigquery_local/": (
        BEAM,
        "transforms",
        "connectors",
        "pipelines",
        "templates",
        "runners",
    ),
    "transforms/": ("connectors", "pipelines", "templates", "runners", *CLOUD),
    "connectors/": (
        "connectors.bigquery_local",
        "connectors.broker",
        "pipelines",
        "templates",
        "runners",
    ),
    "runners/": ("transforms", "connectors", "pipelines", "templates", "google.cloud"),
    "pipelines/": (
        "connectors.bigquery_local",
        "connectors.broker",
        "templates",
        "runners",
        *CLOUD,
    ),
    "templates/": ("transforms", "connectors", BEAM),
}


def modules_imported(path: Path) -> set[str]:
    """Return every module that the file imports, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import; write the full name"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def sources() -> list[str]:
    """Return every source file of the packages, relative to the root."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(str(path.relative_to(ROOT)) for path in files)


def belongs(module: str, package: str) -> bool:
    """Tell whether the module is the package or lies inside it."""
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("file", sources())
def test_arrow_points_the_right_way(file: str) -> None:
    """A file imports only what the architecture's table allows its room."""
    room = next(prefix for prefix in FORBIDDEN if file.startswith(prefix))
    own = room.rstrip("/").replace("/", ".")
    wrong = {
        module
        for module in modules_imported(ROOT / file)
        for package in FORBIDDEN[room]
        if belongs(module, package) and not belongs(module, own) and (file, package) not in EXEMPT
    }
    assert not wrong, f"{file} may not import {sorted(wrong)}"


def test_transforms_import_no_module_of_input_and_output() -> None:
    """A transform has no socket, no clock, no environment and no randomness."""
    impure = {"os", "socket", "time", "random", "subprocess", "tempfile", "uuid", "secrets"}
    for path in (ROOT / "transforms").rglob("*.py"):
        used = {module.split(".")[0] for module in modules_imported(path)} & impure
        assert not used, f"{path.relative_to(ROOT)} imports {sorted(used)}"


def test_broker_starts_without_beam() -> None:
    """The broker is usable without anything else of ours, and without Beam's 3 s of imports."""
    code = "import sys, connectors.broker; sys.exit('apache_beam' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_pipelines_import_only_the_connectors_of_their_ends() -> None:
    """A lake is started without BigQuery's; whoever names a table for dead letters pays for it."""
    code = "import sys, pipelines.pubsub_to_lake; sys.exit('connectors.bigquery' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
