"""Files that workers fetch: whether they are there, whole, and can be installed."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from templates.rehearsal.finding import WrongError
from templates.rehearsal.installed import missing_modules
from templates.rehearsal.job_graph import Objects, Staged
from templates.rehearsal.staged_files import check_staged

WHEEL = "made_here-1.0-py3-none-any.whl"


def stage(objects: Objects, name: str, content: bytes) -> Staged:
    """Put a file on the server; return how a job names it."""
    url = f"gs://bucket/staged/{name}"
    objects.write(url, content)
    return Staged(name, url, hashlib.sha256(content).hexdigest())


def wheel(folder: Path, modules: dict[str, str]) -> bytes:
    """Return a wheel with some modules of a package that is named as one of ours."""
    info = "made_here-1.0.dist-info"
    told = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: made-here\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files = {**modules, **told}
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return (folder / WHEEL).read_bytes()


def test_files_that_are_there_are_told(objects: Objects, tmp_path: Path) -> None:
    """What is no distribution is only looked at."""
    staged = [stage(objects, "pickled_main_session", b"x"), stage(objects, "notes.txt", b"y")]
    seen = check_staged(staged, objects, ["transforms.batch"], tmp_path / "made")
    assert seen == "pickled_main_session, notes.txt; 0 to install"
    assert not (tmp_path / "made").exists()


def test_missing_file_is_told(objects: Objects, tmp_path: Path) -> None:
    """A worker could not start."""
    gone = Staged("gone.txt", "gs://bucket/staged/gone.txt", "")
    with pytest.raises(WrongError, match=r"gs://bucket/staged/gone\.txt is missing"):
        check_staged([gone], objects, [], tmp_path)


def test_other_file_is_told(objects: Objects, tmp_path: Path) -> None:
    """Another launch has staged to the same place."""
    staged = stage(objects, "one.txt", b"one")
    stage(objects, "one.txt", b"two")
    with pytest.raises(WrongError, match="is another file than the job says"):
        check_staged([staged], objects, [], tmp_path)


def test_distribution_is_installed_and_its_modules_imported(
    objects: Objects, tmp_path: Path
) -> None:
    """From a clean folder, although packages of these names are at hand here."""
    content = wheel(tmp_path, {"transforms/__init__.py": "", "transforms/some.py": "X = 1"})
    staged = [stage(objects, WHEEL, content)]
    modules = ["transforms.some", "pyarrow.lib"]
    assert "1 to install" in check_staged(staged, objects, modules, tmp_path / "good")
    with pytest.raises(WrongError, match=r"No module named 'transforms\.batch'"):
        check_staged(staged, objects, ["transforms.batch"], tmp_path / "bad")
    installed = tmp_path / "good" / "installed"
    assert missing_modules(["transforms.some", "transforms", "pyarrow"], installed) == []
    assert missing_modules(["transforms.batch"], installed) == ["transforms.batch"]


def test_distribution_that_is_none_is_told(objects: Objects, tmp_path: Path) -> None:
    """As a worker would find it."""
    staged = [stage(objects, WHEEL, b"no wheel")]
    with pytest.raises(WrongError, match=WHEEL) as caught:
        check_staged(staged, objects, [], tmp_path)
    assert "setup.py" in caught.value.fix
