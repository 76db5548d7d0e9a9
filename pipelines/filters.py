"""Tells whoever has given a filter that it matched nothing: mostly it was misspelt."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.params import Group, specs
from transforms.metrics import MESSAGES_READ, ROWS_FILTERED

__all__ = ["tell_unmatched", "unmatched"]

_log = logging.getLogger("headrace")


def unmatched(params: Any, totals: Mapping[str, int]) -> str:
    """Return what to say if the filters of a run have left nothing, else nothing.

    Args:
        params: of the pipeline; its ``FILTERS`` name the parameters.
        totals: the numbers of the run's metrics by name.
    """
    given = ", ".join(_given(params))
    read = totals.get(MESSAGES_READ.name, 0)
    if not given or read != totals.get(ROWS_FILTERED.name, 0):
        return ""
    what = f"all {read:,} that were read" if read else "everything"
    return f"nothing is left: {given} leaves out {what}"


def tell_unmatched(params: Any, totals: Mapping[str, int]) -> None:
    """Log a warning if the filters of a run that has ended have left nothing; as ``unmatched``."""
    text = unmatched(params, totals)
    if text:
        _log.warning("%s", text)


def _given(params: Any) -> Iterator[str]:
    owners = type(params).__mro__ if isinstance(params, Group) else ()
    filters = {name for owner in owners for name in vars(owner).get("FILTERS", ())}
    for spec in specs(type(params)):
        value = getattr(params, spec.name)
        if spec.name in filters and value not in (None, ()):
            text = ",".join(value) if isinstance(value, tuple) else value
            yield f"{spec.flag}={text}"
