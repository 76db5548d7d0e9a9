"""Compiles definitions of protocol buffers, in a process of its own: the compiler is C++.

It is the compiler of the package grpcio-tools, of the extra ``local``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import tempfile
from pathlib import Path

from connectors.broker.errors import Unsupported
from connectors.broker.schemas.definition import Mismatch

__all__ = ["compiled"]

_NAME = "schema.proto"
_TIMEOUT_S = 20.0


async def compiled(text: str) -> bytes:
    """Return the serialized ``FileDescriptorSet`` of a definition.

    Raises:
        Mismatch: it does not compile; the text says where.
        Unsupported: the compiler is not installed.
    """
    if importlib.util.find_spec("grpc_tools") is None:
        raise Unsupported(
            "Protocol buffer schemas need a compiler: pip install '.[local]' in a clone of"
            " Headrace, or give compiled_proto_schema."
        )
    with tempfile.TemporaryDirectory(prefix="schema-") as folder:
        (Path(folder) / _NAME).write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}"]
        process = await asyncio.create_subprocess_exec(
            *command, "--descriptor_set_out=/dev/stdout", _NAME,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, errors = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
        except asyncio.TimeoutError:
            process.kill()
            raise Mismatch(f"the compiler did not end within {_TIMEOUT_S:.0f} s") from None
    if process.returncode:
        raise Mismatch(f"it does not compile: {errors.decode(errors='replace').strip()}")
    return out
