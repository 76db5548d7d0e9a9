"""Read the file of a user's function, from this machine or from Cloud Storage."""

from __future__ import annotations

from connectors.objects import store_of
from connectors.store import Store
from transforms.errors import ConfigError, HeadraceError
from transforms.udf import Form, Language, Source
from transforms.udf.compiled import NAME, Compiled

__all__ = ["load", "read"]

BYTES_MAX = 1_000_000
"""Of a file: it travels in the graph, of which Dataflow takes 10 MB."""
_FIX = "Write FILE.py:FUNCTION, such as ./clean.py:clean or gs://my-bucket/clean.py:clean"


def load(text: str) -> Source:
    """Return the checked function of ``FILE:FUNCTION``; the file is read, compiled and run once.

    Raises:
        ConfigError: there is no such file or function, it does not compile or load, or it can't
            be called as rows, batches or payloads are. It names the file, the line and the fix.
    """
    path, _, function = text.rpartition(":")
    if not path or not _is_name(function):
        raise ConfigError(NAME, text, "must name a file and a function in it", _FIX)
    if not path.endswith(tuple(each.value for each in Language)):
        raise ConfigError(NAME, text, "must name a file of Python or JavaScript", _FIX)
    return checked(path, function, read(path))


def _is_name(function: str) -> bool:
    return all(part.replace("$", "_").isidentifier() for part in function.split("."))


def read(path: str, store: Store | None = None) -> str:
    """Return the text of a file, by default from the store of its path.

    Raises:
        ConfigError: it can't be read, or is no text of a sensible size.
    """
    try:
        content = (store or store_of(path)).read(path)
    except ConfigError as error:
        raise ConfigError(NAME, path, error.rule, error.fix) from error
    except (OSError, HeadraceError) as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise ConfigError(NAME, path, f"can't be read: {why}", _FIX) from error
    if len(content) > BYTES_MAX:
        raise ConfigError(
            NAME, path, f"has {len(content)} bytes, more than {BYTES_MAX}",
            "Let it hold code only: read data from where it is",
        )  # fmt: skip
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(NAME, path, f"is no text in UTF-8: {error}", "Save it as UTF-8") from None


def checked(path: str, function: str, text: str) -> Source:
    """Return the source of a text, after it was compiled and its function found.

    Raises:
        ConfigError: as ``load``.
    """
    if path.endswith(Language.JAVASCRIPT.value):
        from connectors.udf.javascript import check  # noqa: PLC0415 - V8, seldom needed

        check(path, function, text)
        return Source(path, function, text, Form.TEXT)
    compiled = Compiled(path, function, text)
    compiled.close()
    return Source(path, function, text, compiled.signature.form)
