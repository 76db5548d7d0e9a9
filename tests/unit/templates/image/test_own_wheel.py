"""The wheel is the same bytes from the same sources, and holds all that runs."""

import base64
import csv
import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from templates.image.own_wheel import PACKAGES, ROOT, build_wheel, epoch_s, version
from tests.clones import clone_of, unlike
from transforms.errors import ConfigError


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources as they are now."""
    return clone_of(tmp_path_factory.mktemp("sources") / "clone")


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of them."""
    return build_wheel(tmp_path_factory.mktemp("wheel"), sources)


def test_bytes_do_not_depend_on_place_time_and_owner(
    sources: Path, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other permissions, times, umask, time zone, working folder; and leftovers of a build."""
    other = unlike(tmp_path / "other", sources)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = os.umask(0o077)
    try:
        again = build_wheel(Path("made"), other)
    finally:
        os.umask(before)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_bytes_depend_on_a_line_of_code(sources: Path, wheel: Path, tmp_path: Path) -> None:
    """The comparison above can fail."""
    other = clone_of(tmp_path / "other", sources)
    with (other / "transforms" / "errors.py").open("a") as file:
        file.write("# one line more\n")
    assert build_wheel(tmp_path, other).read_bytes() != wheel.read_bytes()


def test_every_module_and_every_data_file_is_in_it(sources: Path, wheel: Path) -> None:
    """The generated files of templates too; no test, and no benchmark."""
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        modes = {each.external_attr >> 16 & 0o777 for each in files.infolist()}
        times = {each.date_time for each in files.infolist()}
    wanted = {
        str(path.relative_to(sources))
        for package in PACKAGES
        for path in (sources / package).rglob("*")
        if path.suffix in (".py", ".html", ".json", ".tf")
    }
    assert any(name.endswith("terraform/main.tf") for name in wanted)
    assert wanted <= names
    own = {name for name in names if not name.startswith("headrace-")}
    assert {name.partition("/")[0] for name in own} == set(PACKAGES)
    assert not {name for name in own if "removed" in name or "__pycache__" in name}
    assert modes <= {0o644, 0o664}
    assert times == {(1980, 1, 1, 0, 0, 0)}


def test_record_has_the_hash_of_each_file(wheel: Path) -> None:
    """Pip refuses a wheel whose RECORD does not fit."""
    with zipfile.ZipFile(wheel) as files:
        (record,) = (name for name in files.namelist() if name.endswith(".dist-info/RECORD"))
        rows = list(csv.reader(io.StringIO(files.read(record).decode())))
        assert {row[0] for row in rows} == set(files.namelist())
        for name, digest, _ in rows:
            if name != record:
                found = hashlib.sha256(files.read(name)).digest()
                assert digest == f"sha256={base64.urlsafe_b64encode(found).decode().rstrip('=')}"


def test_version_is_the_projects(wheel: Path) -> None:
    """The one that pip finds."""
    assert wheel.name == f"headrace-{version()}-py3-none-any.whl"


def test_time_of_files_may_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable of https://reproducible-builds.org, from 1980 on."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert epoch_s() == 1_700_000_000
    for text in ("yesterday", "-1", "315532799"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
        with pytest.raises(ConfigError, match=r"SOURCE_DATE_EPOCH.*seconds since 1970"):
            epoch_s()


def test_an_installed_package_is_no_clone(tmp_path: Path) -> None:
    """What pip installs lacks what a wheel is built by."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    with pytest.raises(ConfigError, match="must be a clone of the project: LICENSE is missing"):
        build_wheel(tmp_path / "made", tmp_path)


def test_what_setuptools_says_is_told(sources: Path, tmp_path: Path) -> None:
    """A mistake in pyproject.toml, for one."""
    other = clone_of(tmp_path / "other", sources)
    (other / "pyproject.toml").write_text("[project]\nname = 'headrace'\nversion = 7\n")
    with pytest.raises(ConfigError, match="can't be made a wheel by setuptools"):
        build_wheel(tmp_path / "made", other)
