"""The metrics that are promised."""

from pathlib import Path

from connectors.broker import http
from connectors.broker.http.metrics import METRICS

README = Path(http.__file__).parents[1] / "README.md"


def test_the_readme_lists_every_metric() -> None:
    """With kind and meaning, in order, and no others."""
    lines = README.read_text().splitlines()
    start = lines.index("| Metric | Kind | Meaning |") + 2
    listed = lines[start : start + len(METRICS) + 1]
    wanted = [f"| `{each.name}` | {each.kind} | {each.meaning} |" for each in METRICS]
    assert listed == [*wanted, ""]
