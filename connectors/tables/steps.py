"""The steps that add files to a table on a runner without end: number the commits, and make them.

A commit is fixed before it is made: what a pane of the trigger has gathered passes a shuffle, so
that whoever tries again has the same files under the same number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import PaneInfo

from connectors.records import LakeFile
from connectors.tables.commit import commit_files
from connectors.tables.spec import TableSpec
from connectors.tables.table import Table, open_table
from transforms.triggers import every

__all__ = ["CommitFiles", "in_order"]

_Numbered = tuple[int, bytes]
_coder = beam.coders.TupleCoder((beam.coders.VarIntCoder(), beam.coders.BytesCoder()))
_NEXT = beam.DoFn.StateParam(ReadModifyWriteStateSpec("next", beam.coders.VarIntCoder()))
_WAITING = beam.DoFn.StateParam(BagStateSpec("waiting", _coder))


class CommitFiles(beam.PTransform):
    """Add files to a table every so often, and give them on when they are in it.

    Args:
        spec: the table.
        app: names who commits; see ``connectors.tables.commit``.
        commit_s: time between commits, if there are files.
    """

    def __init__(self, spec: TableSpec, app: str, commit_s: float) -> None:
        super().__init__()
        self._spec, self._app = spec, app
        self._trigger = every(commit_s)

    def expand(self, files: beam.PCollection) -> beam.PCollection:
        """Wire it: gather, number, and one step that commits in order."""
        trigger = None if files.is_bounded else self._trigger
        gathering = Windowing(GlobalWindows(), trigger, AccumulationMode.DISCARDING)
        numbered = beam.typehints.Tuple[int, beam.typehints.Tuple[int, bytes]]
        return (
            files
            | "OneKey" >> beam.Map(_encoded).with_output_types(tuple[int, bytes])
            | "Globally" >> beam.WindowInto(gathering)
            | "Together" >> beam.GroupByKey()
            | "Number" >> beam.ParDo(Number()).with_output_types(numbered)
            | "Fixed" >> beam.Reshuffle()
            | "InOrder" >> beam.ParDo(Commit(self._spec, self._app)).with_output_types(LakeFile)
        )


def _encoded(file: LakeFile) -> tuple[int, bytes]:
    return 0, msgspec.json.encode(file)


class Number(beam.DoFn):
    """Numbers commits from 1: panes are numbered by the runner, within its durable state."""

    def process(
        self,
        gathered: tuple[int, Iterable[bytes]],
        pane: PaneInfo = beam.DoFn.PaneInfoParam,
    ) -> Iterator[tuple[int, _Numbered]]:
        """Give all files of the pane its number."""
        files = msgspec.json.encode([msgspec.Raw(file) for file in gathered[1]])
        yield 0, (max(pane.index, 0) + 1, files)


class Commit(beam.DoFn):
    """Makes commits in the order of their numbers, whatever the order in which they come."""

    def __init__(self, spec: TableSpec, app: str) -> None:
        self._spec, self._app = spec, app

    def setup(self) -> None:
        """Nothing is connected."""
        self._table: Table = open_table(self._spec)

    def process(
        self,
        element: tuple[int, _Numbered],
        due: Any = _NEXT,
        waiting: Any = _WAITING,
    ) -> Iterator[LakeFile]:
        """Commit what is due, and keep the rest for later."""
        known = list(waiting.read())
        number, ready, rest = in_order(due.read() or 1, [*known, element[1]])
        for version, encoded in ready:
            files = msgspec.json.decode(encoded, type=list[LakeFile])
            if files:
                commit_files(self._table, self._app, version, files)
                yield from files
        due.write(number)
        if known:
            waiting.clear()
        for each in rest:
            waiting.add(each)


def in_order(due: int, known: list[_Numbered]) -> tuple[int, list[_Numbered], list[_Numbered]]:
    """Return the next number that is due, what can be committed now, and what must wait. Pure."""
    ready: list[_Numbered] = []
    waiting = sorted(known)
    while waiting and waiting[0][0] <= due:
        ready.append(waiting.pop(0))
        due = max(due, ready[-1][0] + 1)
    return due, ready, waiting
