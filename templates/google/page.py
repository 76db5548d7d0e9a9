"""The tables of ``docs/templates/google.md``: what becomes of each parameter of Google's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from templates.google.declared import Equivalent, Need, Parameter, Refused, Rule, Taken, Values
from templates.google.equivalents import ABSENT, EQUIVALENTS

__all__ = ["PAGE", "written"]

PAGE = "docs/templates/google.md"
"""Below the folder of the clone."""

_PART = re.compile(r"(<!-- equivalents -->\n).*?(?=<!-- end -->)", re.DOTALL)


def written(page: str) -> str:
    """Return the page with its tables as they should be."""
    return _PART.sub(lambda part: part[1] + "\n" + "\n".join(_lines()) + "\n\n", page)


def _lines() -> Iterator[str]:
    yield from _overview()
    for equivalent in EQUIVALENTS:
        yield from _section(equivalent)
    yield from _absent()


def _overview() -> Iterator[str]:
    yield from ("| Google's template | | ours | |", "|---|---|---|---|")
    for each in EQUIVALENTS:
        kind = "Flex" if each.is_flex else "classic"
        ours = f"[{each.ours}](../../templates/{each.ours}/README.md)"
        link = f"[`{each.google}`](#{each.google.lower()})"
        yield _row(link, kind, ours, each.differs)


def _section(equivalent: Equivalent) -> Iterator[str]:
    yield from ("", f"### {equivalent.google}", "")
    also = "".join(f" Also `{name}`." for name in equivalent.also)
    yield f"Becomes `{equivalent.ours}`.{also}"
    yield from ("", "| Google's | default | ours | |", "|---|---|---|---|")
    for rule in equivalent.rules:
        yield from _rows(rule)
    for need in equivalent.needs:
        yield _row("", "", f"`{need.name}`", _needed(need))


def _rows(rule: Rule) -> Iterator[str]:
    if not isinstance(rule, Taken):
        for parameter in rule.google:
            mark, why = _mark(rule, parameter), _why(rule)
            yield _row(_code(parameter.name), _code(parameter.default), mark, why)
        return
    ours = ", ".join(map(_code, rule.ours))
    told = ". ".join(_sentence(each) for each in (rule.about, rule.caution) if each)
    for place, parameter in enumerate(rule.google):
        about = told if place == 0 else "Together with the row above"
        becomes = _code(rule.ours[place]) if rule.pairs else ours
        if rule.pairs and place:
            about = ""
        yield _row(
            _code(parameter.name), _code(parameter.default), _same(parameter, becomes), about
        )


def _same(parameter: Parameter, ours: str) -> str:
    return "the same" if _code(parameter.name) == ours else ours


def _mark(rule: Rule, parameter: Parameter) -> str:
    if not isinstance(rule, Refused):
        return "not needed"
    harmless = " or ".join(map(_code, filter(None, (parameter.default, *rule.harmless))))
    return f"**only** {harmless}" if harmless else "**can't be taken**"


def _why(rule: Rule) -> str:
    if isinstance(rule, Refused):
        return f"{_sentence(rule.why)}. {rule.instead}"
    assert not isinstance(rule, Taken)  # noqa: S101 - there are three kinds
    return _sentence(rule.why)


def _needed(need: Need) -> str:
    why = need.why if isinstance(need.why, str) else need.why(Values({}, {}))
    text = need.text({}) or need.shown
    kind = "Optional" if need.optional else "To be filled in"
    return f"Set to {_code(text)}: {why}" if text else f"{kind}: {why}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] if re.match("[a-z]+[ ,]", text) else text


def _absent() -> Iterator[str]:
    yield from ("", "### Without equivalent", "", "| Google's template | why | instead |")
    yield "|---|---|---|"
    for each in ABSENT:
        yield _row(", ".join(map(_code, each.google)), each.why, each.instead)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _row(*cells: str) -> str:
    escaped = (cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells)
    return "| " + " | ".join(escaped) + " |"
