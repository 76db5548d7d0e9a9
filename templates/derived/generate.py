"""Files that are made from the catalogue and checked in, under ``templates/NAME`` and ``docs``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from templates.catalogue import TEMPLATES, Template
from templates.derived import pages, terraform
from templates.derived.json_schema import json_schema
from templates.derived.metadata import container_spec, metadata
from templates.derived.readme import index, readme
from templates.google.page import PAGE, written

__all__ = ["FOLDER", "SCHEMA_NAME", "files", "stale", "write"]

FOLDER = Path(__file__).resolve().parents[1]
SCHEMA_NAME = "parameters.schema.json"


def files(template: Template) -> dict[str, str]:
    """Return the text of each file of a template, by its path below the template's folder."""
    return {
        "README.md": readme(template),
        "container_spec.json": _json(container_spec(template)),
        "metadata.json": _json(metadata(template)),
        SCHEMA_NAME: _json(json_schema(template)),
        "terraform/main.tf": terraform.main_tf(template),
        "terraform/outputs.tf": terraform.outputs_tf(),
        "terraform/variables.tf": terraform.variables_tf(template),
    }


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def stale(folder: Path = FOLDER) -> Iterator[tuple[Path, str | None]]:
    """Yield each file that is not as it should be, and its text; None for one too many."""
    wanted = {folder / "README.md": index()}
    for template in TEMPLATES:
        place = folder / template.name
        wanted |= {place / path: text for path, text in files(template).items()}
    if (page := folder.parent / PAGE).is_file():  # a wheel has no docs
        wanted[page] = written(page.read_text(encoding="utf-8"))
    for page in sorted((folder.parent / pages.FOLDER).glob("*.md")):
        wanted[page] = pages.written(page.read_text(encoding="utf-8"))
    for path, text in wanted.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield path, text
    for template in TEMPLATES:
        present = (path for path in (folder / template.name).rglob("*") if path.is_file())
        yield from ((path, None) for path in sorted(present) if path not in wanted)


def write(folder: Path = FOLDER) -> list[Path]:
    """Write what is stale and remove what is too much; return the paths."""
    found = list(stale(folder))
    for path, text in found:
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return [path for path, _ in found]
