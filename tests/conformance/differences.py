"""Writes into the broker's README where another server differs, by running the suite against it.

    python -m tests.conformance.differences 127.0.0.1:8432 "Google's emulator 0.8.20"

The server must be running and empty. A test that fails there is a row; what our broker does
differently is what the test asserts.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

SUITE = Path(__file__).parent
ROOT = SUITE.parents[1]
README = ROOT / "connectors" / "broker" / "README.md"
BEGIN, END = "<!-- differences: begin -->", "<!-- differences: end -->"
_TEST_S_MAX = 40


def main(address: str, name: str) -> int:
    """Run the suite and replace the table; return the exit code."""
    failed, passed = _outcomes(address)
    rows = "\n".join(f"| {area} | {text} |" for area, text in _rows(failed))
    table = (
        f"{BEGIN}\nOf {failed.total() + passed} tests of `tests/conformance` {name} passes"
        f" {passed}. It differs where it fails:\n\n"
        f"| Area | What our broker does and it does not, or not always |\n|---|---|\n{rows}\n{END}"
    )
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + table + after)
    print(f"{passed} passed, {failed.total()} failed; {README} is written")
    return 0


def _outcomes(address: str) -> tuple[Counter[tuple[str, str]], int]:
    """Return how many cases of which test failed, and how many passed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "--quiet", "-k", "other", f"--timeout={_TEST_S_MAX}",
             f"--junitxml={report}", *sorted(map(str, SUITE.glob("test_*.py")))],
            cwd=ROOT, env=os.environ | {"PUBSUB_CONFORMANCE_HOST": address}, check=False,
        )  # fmt: skip
        cases = list(ElementTree.parse(report).iter("testcase"))
    ran = [each for each in cases if each.find("skipped") is None]
    bad = [each for each in ran if len(each.findall("failure") + each.findall("error"))]
    failed = Counter(
        (each.get("classname", "").rpartition(".")[2], each.get("name", "").partition("[")[0])
        for each in bad
    )
    return failed, len(ran) - len(bad)


def _rows(failed: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        (module.removeprefix("test_"), _told(module, test).replace("|", "\\|"))
        for module, test in sorted(failed)
    ]


def _told(module: str, test: str) -> str:
    """Return what a test is about: its name as words, and its docstring."""
    tree = ast.parse((SUITE / f"{module}.py").read_text())
    [function] = [
        each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == test
    ]
    words = test.removeprefix("test_").replace("_", " ")
    doc = " ".join((ast.get_docstring(function) or "").split())
    return f"{words[0].upper()}{words[1:]}. {doc}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
