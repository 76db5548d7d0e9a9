"""``bigquery.Load``: Parquet files to a table by load jobs, which cost nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.window import GlobalWindows

from connectors.bigquery.create import Create
from connectors.bigquery.load_job import Loader, LoadJob, loads
from connectors.job import launch_id
from connectors.records import LakeFile
from connectors.run import Run
from connectors.table_name import TableName
from transforms.errors import ConfigError
from transforms.metrics import ROWS_WRITTEN, Counter
from transforms.triggers import every

__all__ = ["Load", "Loaded"]


class Loaded(NamedTuple):
    """What ``Load`` gives: a ``LoadJob`` for each job."""

    jobs: beam.PCollection[LoadJob]


class Load(beam.PTransform):
    """Load files that ``lake.Write`` has written, or others by their paths.

        written = rows | lake.Write("gs://my-bucket/staging")
        written.files | bigquery.Load("my-project.flights.departures", job="departures")

    Columns go by name. What a lake holds only in the names of its folders is not loaded.

    Guarantees:
        Each file once, on runners whose shuffles are durable: files are gathered behind one, and a
        job's id follows from the files, so that a job that is asked for again is recognised. A job
        loads all of its files or none. A job that failed for a reason that may pass is followed by
        another one, four times; any other failure stops the pipeline, with BigQuery's words.
        In a bounded ``Run`` it is refused: its files appear only when it has committed.

    Args:
        table: ``PROJECT.DATASET.TABLE``.
        create: how it is made if it is missing, with the columns of the files; expiration and
            primary key are not set by load jobs. None if it must be there.
        job: names the pipeline in ids of jobs. It must change exactly when the runner's state is a
            new one; by default it is what our launcher keeps beside the state.
        every_s: how often files are loaded, on a runner without end. A table takes 1,500 jobs a
            day: https://cloud.google.com/bigquery/quotas#load_jobs.
        rows_written: the metric that counts the rows.

    Raises:
        ConfigError: an argument is against the rules.
    """

    def __init__(
        self,
        table: str,
        *,
        create: Create | None = None,
        job: str | None = None,
        every_s: float = 300.0,
        rows_written: Counter = ROWS_WRITTEN,
    ) -> None:
        super().__init__()
        self._table = TableName.parse(table)
        self._create = create
        self._job = job
        self._trigger = every(every_s)
        self._rows_written = rows_written

    def expand(self, files: beam.PCollection[LakeFile | str]) -> Loaded:
        """Wire it: gather, then one step that loads."""
        if Run.of(files.pipeline) is not None:
            raise ConfigError(
                "table", str(self._table), "can't be loaded in a run that commits as a whole",
                "Use bigquery.Write, or give --runner=local --state_dir=FOLDER",
            )  # fmt: skip
        loader = Loader(self._table, self._create, self._job or launch_id(files.pipeline))
        trigger = None if files.is_bounded else self._trigger
        gathering = Windowing(GlobalWindows(), trigger, AccumulationMode.DISCARDING)
        loading = beam.ParDo(_Load(loader, self._rows_written))
        jobs = (
            files
            | "Paths" >> beam.Map(_path).with_output_types(tuple[int, str])
            | "Globally" >> beam.WindowInto(gathering)
            | "Together" >> beam.GroupByKey()
            | "Jobs" >> beam.FlatMap(_loads).with_output_types(tuple[str, ...])
            | "Committed" >> beam.Reshuffle()
            | "Load" >> loading.with_output_types(LoadJob)
        )
        return Loaded(jobs)


def _path(file: LakeFile | str) -> tuple[int, str]:
    return 0, file if isinstance(file, str) else file.path


def _loads(group: tuple[int, Iterable[str]]) -> Iterator[tuple[str, ...]]:
    return loads(list(group[1]))


class _Load(beam.DoFn):
    def __init__(self, loader: Loader, rows_written: Counter) -> None:
        self._loader, self._rows_written = loader, rows_written

    def process(self, files: tuple[str, ...]) -> Iterator[LoadJob]:
        done = self._loader.load(files)
        self._rows_written.inc(done.rows)
        yield done
