"""``python -m pipelines.docs``: write tables of parameters and metrics into the pages of ``docs``.

A page has a pair of comments, ``<!-- parameters of pubsub_to_lake -->`` and ``<!-- end -->``; what
stands between them is made from the pipeline's Params, and a test fails when it is stale. In the
same way ``<!-- options -->`` becomes the options that all pipelines share, and ``<!-- metrics -->``
all metrics.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipelines.launch import other_flags
from pipelines.params import Spec, specs
from transforms import metrics

__all__ = ["DOCS", "PAGES", "main", "metrics_table", "options_table", "parameters_table", "written"]

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = DOCS / "pipelines"

_PART = re.compile(
    r"(?P<begin><!-- (?:parameters of (?P<name>\w+)|(?P<what>options|metrics)) -->\n)"
    r".*?(?=<!-- end -->)",
    re.DOTALL,
)
_HEAD = ("| flag | value | default | |", "|---|---|---|---|")
_METRICS_HEAD = ("| metric | unit | counts | on Dataflow |", "|---|---|---|---|")
_NOT_ON_DATAFLOW = {
    metrics.MESSAGES_REDELIVERED: "no: the service reads, and drops them itself",
    metrics.LATE_ROWS: "no: the service counts them itself",
    metrics.BACKLOG: "no, gauges are not shown: see the subscription's own metrics",
}


def parameters_table(params_class: type) -> str:
    """Return a table for each group of the parameters of a pipeline, as Markdown."""
    groups: dict[str, list[Spec]] = {}
    for spec in specs(params_class):
        groups.setdefault(spec.group, []).append(spec)
    return _tables({name: map(_row, members) for name, members in groups.items()})


def options_table() -> str:
    """Return a table for each group of options that all pipelines have."""
    return _tables({name: map(_option, flags._actions) for name, flags in other_flags().items()})


def metrics_table() -> str:
    """Return a table of every metric of ours, with what Dataflow makes of it."""
    rows = (
        _cells(
            f"`{each.name}`", each.unit, _plain(each.meaning),
            _NOT_ON_DATAFLOW.get(each, "custom counter"),
        )
        for each in metrics.TABLE
    )  # fmt: skip
    return "\n".join([*_METRICS_HEAD, *rows, ""])


def written(text: str) -> str:
    """Return a page with its tables as they should be. Pure, but for the import of the pipeline."""
    return _PART.sub(lambda part: part["begin"] + "\n" + _content(part) + "\n", text)


def _content(part: re.Match[str]) -> str:
    if part["what"]:
        return options_table() if part["what"] == "options" else metrics_table()
    return parameters_table(importlib.import_module(f"pipelines.{part['name']}").Params)


def _tables(groups: dict[str, Iterable[str]]) -> str:
    parts = ["\n".join([f"**{name}**", "", *_HEAD, *rows, ""]) for name, rows in groups.items()]
    return "\n".join(parts)


def _row(spec: Spec) -> str:
    default = "required" if spec.required else _code(spec.default)
    example = f" Example: {_examples(spec.example)}." if spec.example else ""
    return _cells(f"`{spec.flag}`", _code(spec.kind.name), default, _plain(spec.help) + example)


def _option(action: argparse.Action) -> str:
    default = _code(None if action.default is None else str(action.default))
    text = action.help or ""
    if action.default is not None:  # it has a place of its own
        text = re.sub(r" *Default: .*$", "", text)
    return _cells(
        f"`{action.option_strings[0]}`", _code(str(action.metavar)), default, _plain(text)
    )


def _examples(text: str) -> str:
    """Return examples as code, each by itself."""
    return " or ".join(_code(each) for each in re.split(r", (?=gs:)| or ", text))


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _plain(text: str) -> str:
    """Keep angle brackets and braces from being read as anything else."""
    return text.replace("<", "&lt;")


def _cells(*cells: str) -> str:
    # A bar would end the cell, even within code.
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _stale(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if (new := written(text)) != text:
            yield path, new


def main(folder: Path = DOCS) -> int:
    """Write the pages that are stale, and name them; return the exit code."""
    for path, text in _stale(folder):
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
