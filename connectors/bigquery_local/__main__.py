"""``python -m connectors.bigquery_local``: the server in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from connectors.bigquery_local.errors import MissingExtra, OtherProject, PortInUse, StoreInUse
from connectors.bigquery_local.server import Server


def main(argv: list[str]) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    options = _parser().parse_args(_spelled(argv))
    try:
        with (
            _stopping() as stop,
            Server(
                options.data_dir,
                project=options.project,
                port=options.port,
                rest_port=options.rest_port,
                host=options.host,
            ) as server,
        ):
            print(
                f"bigquery_local ready: grpc {server.grpc_endpoint}, rest {server.rest_endpoint}; "
                f"export BIGQUERY_EMULATOR_HOST={server.rest_endpoint} "
                f"BIGQUERY_STORAGE_EMULATOR_HOST={server.grpc_endpoint}",
                flush=True,
            )
            stop.recv(1)
    except (MissingExtra, OtherProject, PortInUse, StoreInUse, OSError) as error:
        print(f"bigquery_local: {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _stopping() -> Iterator[socket.socket]:
    """Give a socket that gets a byte when the process is to stop.

    The kernel may give a signal to any thread, such as one that is just starting. Python then notes
    it for the main thread, but only what is written here wakes that.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(-1)


def _spelled(argv: list[str]) -> list[str]:
    """Take ``--data-dir`` for ``--data_dir``: the broker spells its flags so."""
    return [
        re.sub(r"(?<=^--)[\w-]+", lambda name: name[0].replace("-", "_"), word) for word in argv
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m connectors.bigquery_local",
        description=__doc__,
        epilog="Flags may be written with - in place of _, as those of the broker are.",
    )
    parser.add_argument("--port", type=_port, default=9060, help="of gRPC; 0 is any (9060)")
    parser.add_argument("--rest_port", type=_port, default=9050, help="of HTTP; 0 is any (9050)")
    parser.add_argument("--data_dir", type=Path, help="of the DuckDB file (in memory)")
    parser.add_argument(
        "--project", default="test-project", help="the project of datasets without one"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:  # noqa: PLR2004 - the largest port there is
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
