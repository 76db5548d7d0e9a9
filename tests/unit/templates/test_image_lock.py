"""What is installed in the image: what runs there and no more, each of one version and hash.

The expectation comes from what the installed packages say they need, not from the tool that wrote
the files.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.commands import ROOT

IMAGE = ROOT / "templates" / "image"
EXTRAS = ("delta", "iceberg", "udf")
"""Of this project, that a template may be asked for: table formats, functions in JavaScript."""

PYTHON = {
    **default_environment(),
    "implementation_name": "cpython", "os_name": "posix", "platform_machine": "x86_64",
    "platform_python_implementation": "CPython", "platform_system": "Linux",
    "python_full_version": "3.11.9", "python_version": "3.11", "sys_platform": "linux",
}  # fmt: skip


def pins(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Return version and hashes of each package in a file of requirements."""
    found: dict[str, tuple[str, list[str]]] = {}
    for entry in re.split(r"\n(?=\S)", path.read_text().replace("\\\n", "")):
        words = entry.split()
        name, _, version = words[0].partition("==")
        hashes = [word.removeprefix("--hash=") for word in words[1:]]
        found[canonicalize_name(name)] = (version, hashes)
    return found


def locked() -> dict[str, str]:
    """Return the version of each package that ``requirements.lock`` has for the image's Python."""
    found = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(PYTHON):
            (pin,) = requirement.specifier
            found[canonicalize_name(requirement.name)] = pin.version
    return found


def project_requirements() -> list[str]:
    """Return what the project needs to run, with the extras of the image."""
    text = (ROOT / "pyproject.toml").read_text()
    lists = [re.search(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)]
    lists += [
        re.search(rf"^{each} = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE) for each in EXTRAS
    ]
    return [
        name for found in lists if found for name in re.findall(r'^  "([^"]+)"', found[1], re.M)
    ]


def closure(requirements: list[str]) -> set[str]:
    """Return all that these need, as installed packages say."""
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        marker = requirement.marker
        if marker is not None and not marker.evaluate({**PYTHON, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for each in ("", *requirement.extras):
            if (name, each) not in seen:
                seen.add((name, each))
                needed = metadata.requires(name) or []
                waiting += [(Requirement(text), each) for text in needed]
    return {name for name, _ in seen}


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the packages of another Python need others"
)
def test_image_has_what_templates_need_and_no_more() -> None:
    """The closure of the project's dependencies and of the table formats."""
    assert set(pins(IMAGE / "requirements.txt")) == closure(project_requirements())


def test_versions_are_those_that_are_tested() -> None:
    """Of the lock, for the Python of the image."""
    tested = locked()
    for name in ("requirements.txt", "build-requirements.txt"):
        for package, (version, _) in pins(IMAGE / name).items():
            assert version == tested[package], f"{package}: run make lock"


def test_every_package_has_hashes_and_no_host() -> None:
    """An index may be any: what it serves must be these bytes."""
    for name in ("requirements.txt", "build-requirements.txt"):
        text = (IMAGE / name).read_text()
        assert "://" not in text
        assert "--index" not in text
        for package, (_, hashes) in pins(IMAGE / name).items():
            assert hashes, package
            assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes), package


def test_nothing_of_tests_demo_and_local_servers_is_in_it() -> None:
    """Nor of what launches templates from elsewhere."""
    others = {
        "pytest",
        "ruff",
        "duckdb",
        "polars",
        "matplotlib",
        "pandas",
        "grpcio-tools",
        "sphinx",
    }
    assert not others & set(pins(IMAGE / "requirements.txt"))
    assert others <= set(locked())
