"""The folder that an image is built in: the same bytes from the same sources."""

import hashlib
import os
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from templates.catalogue import TEMPLATES
from templates.image.context import Context, digest_of, write_context
from templates.image.dockerfile import IMAGE_FOLDER
from templates.image.entry import entry
from templates.image.origin import Origin
from templates.image.own_wheel import EPOCH_S
from tests.clones import clone_of, unlike
from transforms.errors import ConfigError

ORIGIN = Origin("0123abc", "https://example.com/headrace.git")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources as they are now."""
    return clone_of(tmp_path_factory.mktemp("sources") / "clone")


@pytest.fixture(scope="module")
def made(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """The folder of them, which no test changes."""
    return write_context(tmp_path_factory.mktemp("context"), "steps: []", ORIGIN, root=sources)


def state(folder: Path) -> dict[str, tuple[int, float, bytes]]:
    """Return permissions, time and content of all below a folder."""
    return {
        str(path.relative_to(folder)): (
            stat.S_IMODE(path.stat().st_mode),
            path.stat().st_mtime,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [folder, *folder.rglob("*")]
    }


def test_two_folders_are_the_same(
    sources: Path, made: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of other clones, another time, umask and working folder; to the last permission."""
    other = unlike(tmp_path / "other", sources)
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o077)
    try:
        second = write_context(Path("second"), "steps: []", ORIGIN, root=other)
    finally:
        os.umask(before)
    assert state(tmp_path / "second") == state(made.folder)
    assert second.digest == made.digest
    assert {moment for _, moment, _ in state(made.folder).values()} == {EPOCH_S}


def test_folder_holds_what_the_docstring_says(made: Context) -> None:
    """With a file for the launcher per template."""
    names = {name for name, (_, _, content) in state(made.folder).items() if content}
    assert {name for name in names if not name.startswith("wheels/")} == {
        "Dockerfile", "build-requirements.txt", "requirements.txt", "cloudbuild.yaml",
        *(f"template/{template.name}.py" for template in TEMPLATES),
    }  # fmt: skip
    (wheel,) = (name for name in names if name.startswith("wheels/"))
    assert wheel.startswith("wheels/headrace-")
    assert (made.folder / "cloudbuild.yaml").read_text() == "steps: []"
    assert (made.folder / "template" / "lake_compact.py").read_text() == entry(
        next(each for each in TEMPLATES if each.name == "lake_compact")
    )
    assert not made.has_wheels
    assert made.bytes == sum(len(content) for _, _, content in state(made.folder).values())


def test_digest_sees_names_contents_and_permissions(tmp_path: Path) -> None:
    """Each of them is in the image."""
    file = tmp_path / "a"
    file.write_text("1")
    digests = {digest_of(tmp_path)}
    file.write_text("2")
    digests.add(digest_of(tmp_path))
    file.chmod(0o755)
    digests.add(digest_of(tmp_path))
    file.rename(tmp_path / "b")
    digests.add(digest_of(tmp_path))
    assert len(digests) == 4


def test_an_earlier_build_is_replaced(sources: Path, made: Context, tmp_path: Path) -> None:
    """A wheel of another version would be installed too."""
    folder = tmp_path / "again"
    shutil.copytree(made.folder, folder)
    (folder / "wheels" / "headrace-0.0.9-py3-none-any.whl").write_bytes(b"old")
    assert write_context(folder, "steps: []", ORIGIN, root=sources).digest == made.digest


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """--context=. would empty the clone."""
    (tmp_path / "wheels").mkdir()
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"holds thesis\.txt, which is not of a build"):
        write_context(tmp_path, "{}", ORIGIN)
    assert (tmp_path / "thesis.txt").exists()
    assert (tmp_path / "wheels").exists()


@pytest.fixture
def one_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Requirements of one package, which lies in a folder that stands for the index."""
    index, image = tmp_path / "index", tmp_path / "image"
    index.mkdir()
    wheel = index / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        info = "tiny-1.0.dist-info"
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    shutil.copytree(IMAGE_FOLDER, image)
    (image / "requirements.txt").write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
    (image / "build-requirements.txt").write_text("# nothing\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return image


def fetched(folder: Path, sources: Path, image: Path) -> Context:
    """Make the folder with all packages."""
    return write_context(folder, "{}", ORIGIN, with_wheels=True, root=sources, image=image)


def test_packages_are_fetched_on_request(sources: Path, tmp_path: Path, one_package: Path) -> None:
    """By pip's own download, here from a folder; then the build needs no index."""
    made = write_context(
        tmp_path / "made", "{}", ORIGIN, with_wheels=True, root=sources, image=one_package
    )
    assert made.has_wheels
    wheels = sorted(path.name.partition("-")[0] for path in (made.folder / "wheels").iterdir())
    assert wheels == ["headrace", "tiny"]


def test_a_package_of_other_bytes_is_refused(
    sources: Path, tmp_path: Path, one_package: Path
) -> None:
    """Also one of the right name and version."""
    (one_package / "requirements.txt").write_text("tiny==1.0 --hash=sha256:" + "0" * 64)
    with pytest.raises(ConfigError, match=r"--wheels: can't be fetched: ERROR: .*HASH"):
        write_context(
            tmp_path / "made", "{}", ORIGIN, with_wheels=True, root=sources, image=one_package
        )
