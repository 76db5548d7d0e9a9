"""Every test says which behaviour it holds."""

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_every_test_states_its_behaviour() -> None:
    """A test function without a docstring is a riddle to whoever breaks it."""
    silent = [
        f"{path.relative_to(TESTS)}::{node.name}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent
