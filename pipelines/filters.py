"""Tells whoever has given a filter that it matched nothing: mostly it was misspelt."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.params import Group, specs
from transforms.metrics import MESSAGES_READ, ROWS_FILTERED

__all__ = ["tell_unmatched"]

_log = logging.getLogger("headrace")


def tell_unmatched(params: Any, totals: Mapping[str, int]) -> None:
    """Log a warning if the filters of a run that has ended have left nothing.

    Args:
        params: of the pipeline; its ``FILTERS`` name the parameters.
        totals: the numbers of the run's metrics by name.
    """
    given = ", ".join(_given(params))
    read = totals.get(MESSAGES_READ.name, 0)
    if given and read == totals.get(ROWS_FILTERED.name, 0):
        what = f"all {read:,} that were read" if read else "everything"
        _log.warning("nothing is left: %s leaves out %s", given, what)


def _given(params: Any) -> Iterator[str]:
    filters = params.FILTERS if isinstance(params, Group) else ()
    for spec in specs(type(params)):
        value = getattr(params, spec.name)
        if spec.name in filters and value not in (None, ()):
            text = ",".join(value) if isinstance(value, tuple) else value
            yield f"{spec.flag}={text}"
