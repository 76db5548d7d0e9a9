"""The parameter files of ``examples`` are good, at home and for the cloud."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from templates.command import main
from tests.commands import ROOT
from tests.examples import TEMPLATE_NAMES, at_home, bucket, clone, in_the_cloud

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the bucket of the examples, for the tests of a file."""
    folder = tmp_path_factory.mktemp("storage")
    with pytest.MonkeyPatch.context() as patch, bucket(folder, patch) as url:
        yield url


def validate(template: str, paths: list[Path]) -> int:
    params = [word for path in paths for word in ("--params", str(path))]
    return main(["validate", template, *params])


@pytest.mark.parametrize("template", TEMPLATE_NAMES)
def test_at_home(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Good in the folder of a clone, when the lake of the first example is there."""
    monkeypatch.chdir(clone(tmp_path))
    (tmp_path / "headrace-run" / "lake").mkdir(parents=True)
    assert validate(template, [at_home(template)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("template", TEMPLATE_NAMES)
def test_in_the_cloud(
    template: str, cloud: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Good with the overlay, which leaves no path of this machine."""
    assert cloud
    monkeypatch.chdir(ROOT)
    paths = in_the_cloud(template)
    assert validate(template, paths) == 0, capsys.readouterr().err
    params = [word for path in paths for word in ("--params", str(path))]
    spec = "--spec=gs://my-bucket/templates/x.json"
    assert main(["render", template, *params, "--as=rest", spec]) == 0
    said = capsys.readouterr().out
    assert "headrace-run" not in said
    assert "projects/demo" not in said


def test_every_file_belongs_to_a_template() -> None:
    """None is forgotten when a template is renamed."""
    known = {path.name for name in TEMPLATE_NAMES for path in in_the_cloud(name)}
    assert {path.name for path in (ROOT / "examples").glob("*.yaml")} == known
