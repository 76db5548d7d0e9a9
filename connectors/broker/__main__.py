"""``python -m connectors.broker``: the broker in a process of its own.

Exit code 0: it was asked to stop. 1: it failed. 2: a flag, or what it names, can't be used.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sys
from pathlib import Path

from connectors.broker import limits
from connectors.broker.errors import BadCertificate, BadFile, CorruptLog, DataDirInUse
from connectors.broker.http.listening import PortInUse, check_free
from connectors.broker.reset import reset
from connectors.broker.server import Addresses, Serving, Tls, serve
from connectors.broker.store import Durability

_PORT_MAX = 65_535
_OFF = "off"
_MEMORY = "memory"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ABOUT = "A broker that speaks the API of Google Cloud Pub/Sub, in a process of its own."
_UNUSABLE = (BadCertificate, BadFile, DataDirInUse, PortInUse)
"""What is wrong with what a flag names."""


def main(argv: list[str]) -> int:
    """Serve until SIGTERM, SIGINT or the end of --until-stdin-ends; return the exit code."""
    parser = _parser()
    options = parser.parse_args(_spelled(argv))
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error("--tls-cert and --tls-key: give both or none")
    if problem := _problem_of_durability(options):
        parser.error(problem)
    if problem := _unreadable(options):
        return _complain(problem, 2)
    _warn_of_strangers(options)
    try:
        asyncio.run(_serve(_serving(options), until_stdin_ends=options.until_stdin_ends))
    except _UNUSABLE as error:
        return _complain(f"{_flag(error, options)}: {error}", 2)
    except (CorruptLog, OSError) as error:
        return _complain(*_of_data_dir(error, options))
    return 0


def _complain(problem: object, code: int) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return code


def _unreadable(options: argparse.Namespace) -> str | None:
    """Return which file can't be read, and why; None if all can."""
    for flag in ("config", "auth", "tls_cert", "tls_key"):
        path: Path | None = getattr(options, flag)
        try:
            if path is not None:
                path.open("rb").close()
        except OSError as error:
            name = flag.replace("_", "-")
            return (
                f"--{name}='{path}': can't be read ({error.strerror}). "
                "Name a file that this user may read"
            )
    return None


def _flag(error: Exception, options: argparse.Namespace) -> str:
    """Return the flag that an error is about."""
    if isinstance(error, BadFile):
        return "--config" if error.path == options.config else "--auth"
    if isinstance(error, BadCertificate):
        return "--tls-cert"
    return "--data-dir" if isinstance(error, DataDirInUse) else "--port"


def _of_data_dir(error: Exception, options: argparse.Namespace) -> tuple[str, int]:
    """Return what to say of a failure, and the exit code: 2 if the data directory is unusable."""
    if not isinstance(error, OSError):
        return f"--data-dir: {error}", 1
    path, directory = str(error.filename), str(options.data_dir)
    if not (path.startswith(directory) or directory.startswith(path)):
        return str(error), 1
    rule = f"--data-dir='{directory}': can't be used ({error.strerror})"
    return f"{rule}. Name a directory that this user may write", 2


def _spelled(argv: list[str]) -> list[str]:
    """Take ``--data_dir`` for ``--data-dir``: pipelines, as Beam, spell their flags so."""
    return [re.sub(r"^--\w+", lambda flag: flag[0].replace("_", "-"), word) for word in argv]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m connectors.broker",
        description=_ABOUT,
        epilog="Flags may be written with _ in place of -, as those of pipelines are.",
    )
    parser.add_argument("--data-dir", type=Path, help="directory of the log")
    parser.add_argument(
        "--durability",
        choices=[*(each.value for each in Durability), _MEMORY],
        default=Durability.ALWAYS.value,
        help="what is answered survives: always, a power failure; interval, a kill, and is synced"
        f" every {limits.SYNC_INTERVAL_S:.1f} s; memory, nothing, without --data-dir."
        " Default: always",
    )
    parser.add_argument(
        "--port", type=_port, default=8085, help="of gRPC; 0 takes any free one. Default: 8085"
    )
    parser.add_argument(
        "--http-port",
        type=_http_port,
        help="of REST, metrics and the status page; 0 takes any free one, off serves none."
        " Default: the one after --port, or any if that is taken",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on. Default: 127.0.0.1"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name with a dot under which the HTTP port is known; may be repeated",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML or JSON that declares schemas, topics and subscriptions in the fields of the"
        " REST API; what is missing is made, what differs is updated",
    )
    parser.add_argument(
        "--auth",
        type=Path,
        metavar="FILE",
        help="YAML or JSON with principals, their tokens and policies of projects; from then on"
        " every call is checked. Default: nobody is asked, and everybody may do everything",
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate, in PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="key of --tls-cert, in PEM")
    parser.add_argument(
        "--reset",
        action="store_true",
        help="remove the log of the data directory first, with all topics and messages",
    )
    parser.add_argument(
        "--until-stdin-ends",
        action="store_true",
        help="stop when standard input, a pipe, is closed: when whoever started it has ended",
    )
    return parser


def _problem_of_durability(options: argparse.Namespace) -> str | None:
    """Return why options don't go together, None if they do."""
    if options.durability != _MEMORY:
        return None if options.data_dir else "--data-dir is needed, unless --durability=memory"
    if options.data_dir:
        return "--data-dir: with --durability=memory nothing is written there; leave one out"
    return "--reset: with --durability=memory there is nothing to remove" if options.reset else None


def _warn_of_strangers(options: argparse.Namespace) -> None:
    if options.host not in _LOOPBACK and not options.auth:
        print(
            f"broker: --host {options.host} can be reached by other machines, and without --auth"
            " everybody there may read and delete everything",
            file=sys.stderr,
        )


def _reset(directory: Path) -> None:
    removed = reset(directory)
    what = (
        f"{removed.segments} files, {removed.size_bytes} bytes" if removed.segments else "nothing"
    )
    print(f"broker: --reset removed the log of {directory}: {what}", file=sys.stderr)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > _PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number from 0 to {_PORT_MAX}")
    return int(text)


def _http_port(text: str) -> int | str:
    return text if text == _OFF else _port(text)


def _serving(options: argparse.Namespace) -> Serving:
    return Serving(
        options.data_dir,
        options.host,
        options.port,
        _chosen_http_port(options),
        frozenset(name.lower() for name in options.allow_host),
        options.config,
        _reset if options.reset else None,
        options.auth,
        Tls(options.tls_cert, options.tls_key) if options.tls_cert else None,
        Durability.ALWAYS if options.durability == _MEMORY else Durability(options.durability),
    )


def _chosen_http_port(options: argparse.Namespace) -> int | None:
    if options.http_port == _OFF:
        return None
    if options.http_port is not None:
        return int(options.http_port)
    if not 0 < options.port < _PORT_MAX:
        return 0
    try:
        check_free(options.host, options.port + 1)
    except PortInUse:
        return 0
    return int(options.port) + 1


async def _serve(serving: Serving, *, until_stdin_ends: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_ends:
        loop.add_reader(0, _end_with_stdin, loop, stop)
    await serve(serving, _announce, stop)


def _end_with_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(0, 1 << 16):
        loop.remove_reader(0)
        stop.set()


def _announce(addresses: Addresses) -> None:
    address = addresses.grpc
    http = f" HTTP on http://{addresses.http};" if addresses.http else ""
    print(f"broker ready on {address};{http} export PUBSUB_EMULATOR_HOST={address}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
