"""``python -m connectors.broker``: the broker in a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from connectors.broker.errors import CorruptLog, DataDirInUse
from connectors.broker.server import PortInUse, serve


def main(argv: list[str]) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    options = _parser().parse_args(argv)
    try:
        asyncio.run(_serve(options.data_dir, options.host, options.port))
    except (CorruptLog, DataDirInUse, PortInUse, OSError) as error:
        print(f"broker: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m connectors.broker", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="directory of the log")
    parser.add_argument("--port", type=_port, default=8085, help="0 takes any free one (8085)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:  # noqa: PLR2004 - the largest port there is
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number from 0 to 65535")
    return int(text)


async def _serve(data_dir: Path, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(data_dir, host, port, _announce, stop)


def _announce(address: str) -> None:
    print(f"broker ready on {address}; export PUBSUB_EMULATOR_HOST={address}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
