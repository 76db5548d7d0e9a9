"""The site of the pages: ``make docs`` writes it to ``build/docs``.

Its source folder is the clone itself: a page has the same place on the site as on GitHub, the
pages of packages lie in the packages, and one relative link is right in both.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

_CLONE = Path(__file__).resolve().parents[1]

project = "Headrace"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "README"
include_patterns = [
    "README.md",
    "docs/**.md",
    "connectors/*/README.md",
    "runners/local/README.md",
    "templates/README.md",
    "templates/*/README.md",
]
# Whole folders, so that nobody walks them.
exclude_patterns = [".*", "*-run", "build", "benchmarks", "tests", "transforms", "**/terraform"]

myst_heading_anchors = 4  # as GitHub makes them
suppress_warnings = ["myst.header"]  # pages of generated tables start where they like

html_theme = "furo"
html_title = "Headrace"
html_copy_source = False
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}

_PARTS = {
    "README": {
        "First steps": ["docs/README", "docs/start", "docs/guarantees", "docs/glossary"],
        "Pipelines": ["docs/pipelines/README"],
        "Templates": [
            "docs/templates/README", "docs/templates/run", "docs/templates/simulate",
            "docs/templates/build", "docs/templates/launch", "docs/templates/monitoring",
            "docs/templates/costs", "docs/templates/*", "templates/README",
        ],
        "Further": ["docs/lake", "docs/own_pipeline", "docs/figures"],
        "Parts": [
            "connectors/broker/README", "connectors/bigquery_local/README",
            "runners/local/README", "connectors/*/README",
        ],
    },
    "docs/pipelines/README": {"": ["docs/pipelines/pubsub_*", "docs/pipelines/*"]},
    "templates/README": {"": ["templates/*/README"]},
}  # fmt: skip
"""What lies below a page in the navigation, under captions; ``*`` is whatever is left."""


def _is_there(page: str) -> bool:
    return any(_CLONE.glob(f"{page}.md"))


def _tree(caption: str, pages: list[str]) -> str:
    options = [":hidden:", ":glob:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(
        [
            "",
            "```{toctree}",
            *options,
            *(f"/{page}" for page in pages if _is_there(page)),
            "```",
            "",
        ]
    )


def _add_trees(_app: object, page: str, source: list[str]) -> None:
    # The pages themselves have plain links: on GitHub a toctree would be a block of code.
    source[0] += "".join(_tree(*each) for each in _PARTS.get(page, {}).items())


def _add_indexes(app: Any, error: Exception | None) -> None:
    """Let a folder show its page, as GitHub does."""
    if error is None:
        for page in Path(app.outdir).rglob("README.html"):
            shutil.copy(page, page.with_name("index.html"))


def setup(app: Any) -> dict[str, bool]:
    """Give Sphinx what is ours."""
    app.connect("source-read", _add_trees)
    app.connect("build-finished", _add_indexes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
