"""From source text to a function that can be called: compiled once, with errors that name lines."""

from __future__ import annotations

import functools
import itertools
import linecache
import re
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

from transforms.errors import ConfigError
from transforms.udf.signature import Signature, SignatureError, signature_of

__all__ = ["NAME", "Compiled", "where"]

NAME = "udf"
"""The parameter that errors name."""
_numbers = itertools.count()


class Compiled:
    """A module made of source text, and a function in it.

    Each has its own globals: two instances share no state, so that two threads with an instance
    each don't meet, and functions of one name don't either.

    Args:
        path: of the file; tracebacks show it.
        function: the name of the function; dots lead into objects.
        text: of the whole file. It must stand alone: what is beside the file can't be imported.

    Raises:
        ConfigError: the text does not compile, its module level fails, or there is no such
            function. It names the file, the line and the fix.
    """

    def __init__(self, path: str, function: str, text: str) -> None:
        self.path = path
        self.function = function
        self.module = types.ModuleType(f"udf_{next(_numbers)}_{_stem(path)}")
        self.module.__file__ = path
        self._run(_code(path, text))
        self.call: Callable[..., Any] = self._found()
        self.signature: Signature = self._signature()

    def close(self) -> None:
        """Forget the module."""
        sys.modules.pop(self.module.__name__, None)

    def _run(self, code: types.CodeType) -> None:
        # Data classes and others look for the module of a class by its name.
        sys.modules[self.module.__name__] = self.module
        try:
            exec(code, self.module.__dict__)  # noqa: S102 - this is what it is for
        except (Exception, SystemExit) as error:
            self.close()
            place = where(error, self.path)
            raise _refusal(
                self, f"can't be loaded: {type(error).__name__}: {error}{place}", _fix(error)
            ) from error

    def _found(self) -> Callable[..., Any]:
        try:
            found: Any = self.module
            for name in self.function.split("."):
                found = getattr(found, name)
        except AttributeError:
            self.close()
            own = [
                name
                for name, value in vars(self.module).items()
                if getattr(value, "__module__", None) == self.module.__name__ and callable(value)
            ]
            raise _refusal(
                self,
                f"the file has no function {self.function}",
                f"Name one of the file, which has: {', '.join(own) or 'none'}",
            ) from None
        return found

    def _signature(self) -> Signature:
        try:
            return signature_of(self.call)
        except SignatureError as error:
            self.close()
            line = getattr(getattr(self.call, "__code__", None), "co_firstlineno", None)
            place = f" ({_base(self.path)}:{line})" if line else ""
            rule = f"{self.function} {error.rule}{place}"
            raise _refusal(self, rule, error.fix) from error


def where(error: BaseException, path: str) -> str:
    """Return `` (file.py:12)``: the innermost line of a user's file that an error went through."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == path]
    return f" ({_base(path)}:{lines[-1]})" if lines else ""


@functools.lru_cache(maxsize=16)
def _code(path: str, text: str) -> types.CodeType:
    # So that tracebacks show the lines on a machine that has no such file.
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    try:
        return compile(text, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f" ({_base(path)}:{line})" if line else ""
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ConfigError(
            NAME, path, f"does not compile: {why}{place}", "Correct the file"
        ) from error


def _refusal(compiled: Compiled, rule: str, fix: str) -> ConfigError:
    return ConfigError(NAME, f"{compiled.path}:{compiled.function}", rule, fix)


def _fix(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return (
            "The file must stand alone: put what it needs into it, or install it where the"
            " pipeline runs; modules beside the file are not taken along"
        )
    return "Correct what the file does when it is loaded"


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    return re.sub(r"\W", "_", _base(path).removesuffix(".py"))
