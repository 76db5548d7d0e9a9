"""Errors of the libraries of tables, as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.store import is_full
from transforms.errors import HeadraceError, PermanentError, TransientError

__all__ = ["ConflictError", "explained"]

_FULL = re.compile(r"No space left|Disk quota exceeded|disk is full", re.IGNORECASE)
_RACE = re.compile(r"database is locked|already exists|UNIQUE constraint failed")
"""What SQLite says to whoever is second; it has no class of its own."""
_MAY_PASS = re.compile(
    r"timed? ?out|connection|temporar|unavailable|ServerError|TooManyRequests"
    r"|\b(408|429|50[0234]) [A-Z]",
    re.IGNORECASE,
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_SAID_MAX = 400


class ConflictError(TransientError):
    """Another commit to the table was quicker, or an answer was lost: look, and try again."""


@contextmanager
def explained(
    place: str,
    errors: tuple[type[Exception], ...],
    conflicts: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Make the errors of a library ours.

    Args:
        place: names the table.
        errors: the library's own; those of files and networks are known.
        conflicts: those that tell that another commit was quicker.
    """
    try:
        yield
    except HeadraceError:
        raise
    except conflicts as error:
        raise ConflictError(f"{place}: {error}") from error
    except Exception as error:
        if not isinstance(error, (OSError, *errors)):
            raise
        raise _ours(place, error) from error


def _ours(place: str, error: Exception) -> HeadraceError:
    if _FULL.search(str(error)) or (isinstance(error, OSError) and is_full(error)):
        return TransientError(
            f"disk full while committing to the table {place}. Free some space and run again: "
            "the commit is tried again, and made once"
        )
    if _RACE.search(str(error)):
        return ConflictError(f"{place}: {error}")
    said = " ".join(_COLOURS.sub("", str(error)).split())[:_SAID_MAX] or repr(error)
    text = f"can't commit to the table {place}: {said}"
    passes = isinstance(error, ConnectionError | TimeoutError) or _MAY_PASS.search(
        f"{type(error).__name__}: {error}"
    )
    return TransientError(text) if passes else PermanentError(text)
