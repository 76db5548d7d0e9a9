"""What is pickled in a job's graph, told without unpickling it.

To unpickle is to run what somebody wrote. The opcodes alone tell what a worker will import, and
which texts it is handed.
"""

from __future__ import annotations

import base64
import bz2
import contextlib
import pickletools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Pickled", "inspect_pickle", "pickles"]

# Beam's picklers compress, and write the result in base64: by bzip2 at level 9, or by zlib.
_PACKED = re.compile(rb"(QlpoOT|eN[o-r])[A-Za-z0-9+/]{8,}={0,2}")
_BZIP2 = b"Ql"
_PROTOCOL = re.compile(rb"\x80[\x02-\x05]")


@dataclass
class Pickled:
    """What is in one or several pickles.

    Attributes:
        names: what is imported: ``module.name``, by module.
        texts: all texts: of values, and of code that travels by value.
    """

    names: dict[str, set[str]] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)

    def add(self, other: Pickled) -> None:
        """Take over what is in another."""
        self.texts |= other.texts
        for module, names in other.names.items():
            self.names.setdefault(module, set()).update(names)


def pickles(content: bytes) -> Iterator[bytes]:
    """Yield the pickles that Beam has written somewhere into bytes, decompressed."""
    for match in _PACKED.finditer(content):
        # Bytes behind it may look like base64 as well; a decompressor knows its end.
        encoded = match[0].rstrip(b"=")
        encoded = encoded[:-1] if len(encoded) % 4 == 1 else encoded
        packed = base64.b64decode(encoded + b"=" * (-len(encoded) % 4))
        is_bzip2 = match[0].startswith(_BZIP2)
        decompressor: Any = bz2.BZ2Decompressor() if is_bzip2 else zlib.decompressobj()
        try:
            yield decompressor.decompress(packed)
        except (OSError, zlib.error):  # only began like one
            continue


def inspect_pickle(content: bytes) -> Pickled:
    """Return what is in a pickle, and in the pickles that are values of it.

    Raises:
        ValueError: it is none.
    """
    return _Inspection().of(content)


class _Inspection:
    def __init__(self) -> None:
        self._found = Pickled()
        self._memo: dict[int, str | None] = {}
        self._last: list[str | None] = []

    def of(self, content: bytes) -> Pickled:
        for opcode, argument, _ in pickletools.genops(content):
            self._see(opcode.name, argument)
        return self._found

    def _see(self, name: str, argument: Any) -> None:
        if name == "MEMOIZE":
            self._memo[len(self._memo)] = self._last[-1] if self._last else None
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._last[-1] if self._last else None
        elif name in ("BINGET", "LONG_BINGET"):
            self._last.append(self._memo.get(argument))
        elif name == "GLOBAL":
            self._import(*argument.split(" ", 1))
        elif name == "STACK_GLOBAL":
            self._import(*self._last[-2:])
        else:
            self._value(argument)

    def _import(self, module: str | None = None, name: str | None = None) -> None:
        if module is not None and name is not None:
            self._found.names.setdefault(module, set()).add(name)
        self._last.append(None)

    def _value(self, argument: Any) -> None:
        is_text = isinstance(argument, str)
        self._last.append(argument if is_text else None)
        if is_text:
            self._found.texts.add(argument)
        if isinstance(argument, bytes):
            self._nested(argument)

    def _nested(self, content: bytes) -> None:
        """Look into a value that may be a pickle itself."""
        for each in [content] if _PROTOCOL.match(content) else pickles(content):
            with contextlib.suppress(ValueError):  # a value that only began like one
                self._found.add(inspect_pickle(each))
