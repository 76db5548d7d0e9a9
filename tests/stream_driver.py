"""A durable runner of one step: calls ``ReadStream.process`` as Beam does, commits or rolls back.

What the runner would keep on disk is kept as bytes; a crash forgets everything else.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field

from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.runners.common import DoFnSignature
from apache_beam.runners.sdf_utils import (
    RestrictionTrackerView,
    ThreadsafeRestrictionTracker,
    ThreadsafeWatermarkEstimator,
)
from apache_beam.transforms.core import DoFn
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from connectors.pubsub import reader
from connectors.pubsub.reading import Reading, ReadingCoder, ReadingTracker
from connectors.pubsub.stream import ReadStream
from connectors.pubsub.watermark import Watermark

CODER = ReadingCoder()
READINGS = DoFnSignature(ReadStream()).get_restriction_provider()


@dataclass
class Epoch:
    """What has happened since the last commit."""

    reading: Reading
    watermark: Timestamp | None
    emitted: list[TimestampedValue] = field(default_factory=list)
    finalizers: list[DoFn.BundleFinalizerParam] = field(default_factory=list)
    delay: Duration | None = None


class Driver:
    """Runs one source. ``committed`` is what has taken effect."""

    def __init__(self, name: str, watermark: Watermark | None = None, **options: bool) -> None:
        self.committed: list[TimestampedValue] = []
        self._name, self._strategy, self._options = name, watermark, options
        self._stored = CODER.encode(Reading())
        self._watermark: Timestamp | None = None
        self._start()

    def _start(self) -> None:
        self._dofn = ReadStream(self._strategy, **self._options)
        self._pickled = pickle.dumps(self._dofn)
        self._begin()

    def _begin(self) -> None:
        self.epoch = Epoch(CODER.decode(self._stored), self._watermark)

    def call(self, deliveries: int | None = None) -> int:
        """Call ``process`` once; return the messages that it emitted.

        Args:
            deliveries: batches after which the runner splits; None lets the call end by itself.
        """
        epoch = self.epoch
        tracker = ThreadsafeRestrictionTracker(ReadingTracker(epoch.reading))
        estimator = ThreadsafeWatermarkEstimator(ManualWatermarkEstimator(epoch.watermark))
        finalizer = DoFn.BundleFinalizerParam()
        residual = None
        rows = 0
        for count, element in enumerate(
            self._dofn.process(self._name, finalizer, RestrictionTrackerView(tracker), estimator), 1
        ):
            epoch.emitted.append(element)
            rows += len(element.value)
            if count == deliveries:
                _, residual = tracker.try_split(0)
        tracker.check_done()
        deferred = tracker.deferred_status()
        residual, epoch.delay = deferred or (residual, None)
        epoch.finalizers.append(finalizer)
        if residual is not None:
            epoch.reading = CODER.decode(CODER.encode(residual))
        epoch.watermark = estimator.current_watermark()
        return rows

    def commit(self, *, finalize: bool = True) -> None:
        """Make the epoch durable, then finalize its bundles."""
        epoch = self.epoch
        self._stored, self._watermark = CODER.encode(epoch.reading), epoch.watermark
        self.committed += epoch.emitted
        self._begin()
        for finalizer in epoch.finalizers if finalize else ():
            finalizer.finalize_bundle()

    def rollback(self) -> None:
        """Forget the epoch; the process lives on."""
        self._begin()

    def crash(self) -> None:
        """Let the process die: it gives nothing back, and its open requests are abandoned."""
        while self._dofn._used:
            key, dead = self._dofn._used.popitem()
            del reader._readers[key]
            dead._keeper.stop()
            dead._settling.shutdown(cancel_futures=True)
            dead._closing.close()
        self._start()

    def drain(self) -> None:
        """Let the job drain: a last call, committed."""
        self.epoch.reading = READINGS.truncate(self._name, self.epoch.reading)
        self.call()
        self.commit()

    def close(self) -> None:
        """Tear the step down."""
        self._dofn.teardown()

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def numbers(self) -> list[int]:
        """The numbers that were published, as committed, sorted."""
        batches = [element.value for element in self.committed]
        return sorted(int(data) for batch in batches for data in batch.column("data").to_pylist())

    @property
    def unsettled(self) -> int:
        """How many bundles are listed in what is stored."""
        return len(CODER.decode(self._stored).unsettled)
