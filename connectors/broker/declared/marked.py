"""YAML with line numbers: a file to plain values that know where they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import yaml

from connectors.broker.errors import BadFile

__all__ = ["Marked", "read_marked"]

_DEPTH_MAX = 50
_HALF = re.compile("[\ud800-\udfff]")
_MAPPING, _SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"


class Marked(NamedTuple):
    """A value and its line, counted from 1."""

    value: Any
    """A scalar, a list of ``Marked``, or a dictionary of ``Marked`` by text."""
    line: int

    def plain(self) -> Any:
        """Return the value without lines."""
        if isinstance(self.value, dict):
            return {name: each.plain() for name, each in self.value.items()}
        if isinstance(self.value, list):
            return [each.plain() for each in self.value]
        return self.value


class _Loader(yaml.SafeLoader):
    """Scalars as in YAML 1.2 and JSON: ``yes`` and ``2026-01-01`` are texts."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in (
    ("null", "null|~|", ["n", "~", ""]),
    ("bool", "true|false", ["t", "f"]),
    ("int", "-?(0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", list("-0123456789")),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


def read_marked(path: Path) -> Marked:
    """Return what a YAML file holds; JSON is YAML as well.

    Raises:
        BadFile: it is no YAML, or one with names that occur twice, with tags or loops.
        OSError: it can't be read.
    """
    loader = None
    try:
        loader = _Loader(path.read_bytes())
        node = loader.get_single_node()
        return Marked(None, 1) if node is None else _marked(path, loader, node, 0)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        text = getattr(error, "problem", None) or str(error)
        raise BadFile(path, mark.line + 1 if mark else 1, f"no YAML: {text}") from None
    finally:
        if loader is not None:
            loader.dispose()


def _whole(path: Path, line: int, value: Any) -> Any:
    """JSON writes a character beyond the first 65,536 as two halves, which YAML leaves so."""
    if not isinstance(value, str) or not _HALF.search(value):
        return value
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise BadFile(path, line, "has the half of a character") from None


def _marked(path: Path, loader: _Loader, node: Any, depth: int) -> Marked:
    line = node.start_mark.line + 1
    if depth > _DEPTH_MAX:
        raise BadFile(path, line, "nested too deeply")
    if isinstance(node, yaml.ScalarNode):
        return Marked(_whole(path, line, loader.construct_object(node)), line)
    if node.tag not in (_MAPPING, _SEQUENCE):
        raise BadFile(path, line, f"the tag {node.tag} has no meaning here")
    if isinstance(node, yaml.SequenceNode):
        return Marked([_marked(path, loader, each, depth + 1) for each in node.value], line)
    found: dict[str, Marked] = {}
    for key, value in node.value:
        name, name_line = key.value, key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise BadFile(path, name_line, "a name must be a text")
        if name in found:
            raise BadFile(
                path, name_line, f"{name} is given twice; first in line {found[name].line}"
            )
        found[name] = _marked(path, loader, value, depth + 1)._replace(line=name_line)
    return Marked(found, line)
