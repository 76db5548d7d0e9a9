"""What Dataflow's launcher runs calls the pipeline's module by its name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from templates.catalogue import TEMPLATES, Template, find
from templates.image.entry import entry, file_name, variables
from tests.commands import ROOT

all_templates = pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)


@all_templates
def test_launcher_is_told_of_the_file_and_of_nothing_to_fetch(template: Template) -> None:
    """Everything is in the image: no requirements, no setup.py, no packages to stage."""
    assert variables(template) == {
        "FLEX_TEMPLATE_PYTHON_PY_FILE": f"/template/{file_name(template)}"
    }


@all_templates
def test_file_calls_the_module_by_name(
    template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It defines nothing that could be pickled as ``__main__``'s."""
    called: list[str] = []
    monkeypatch.setattr("pipelines.launch.main", called.append)
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(entry(template), file_name(template), "exec"), names)
    assert called == [template.module.__name__]
    assert {name for name in names if not name.startswith("__")} == {"main"}


def test_file_runs_from_a_folder_of_its_own(tmp_path: Path) -> None:
    """As in the image: nothing else is found beside it."""
    template = find("lake_compact")
    path = tmp_path / file_name(template)
    path.write_text(entry(template))
    shown = subprocess.run(
        [sys.executable, str(path), "--help"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert shown.stdout.startswith("usage: python -m pipelines.lake_compact")
