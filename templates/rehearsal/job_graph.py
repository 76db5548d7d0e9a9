"""A job as ``--template_location`` leaves it: the job's file, and the graph that it points to.

What Beam 2.77 writes for Dataflow has no ``steps``: they are in the staged ``pipeline.pb``, a
``Pipeline`` of Beam's model, and the job's options name it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2 as model
from google.protobuf.message import DecodeError

from pipelines.errors import DataError
from templates.rehearsal.pickled import Pickled, inspect_pickle, pickles

__all__ = ["JobGraph", "Objects", "PubsubRead", "Staged", "Step", "read_job"]

_MAIN_SESSION = "pickled_main_session"
_PUBSUB_READ = common_urns.composites.PUBSUB_READ.urn
_STAGED = common_urns.artifact_roles.STAGING_TO.urn


class Objects:
    """Objects of Cloud Storage, by name.

    Args:
        client: ``google.cloud.storage.Client``.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def read(self, name: str) -> bytes | None:
        """Return the content of ``gs://BUCKET/OBJECT``; None if there is none."""
        blob = self._blob(name)
        return bytes(blob.download_as_bytes()) if blob.exists() else None

    def exists(self, name: str) -> bool:
        """Tell whether there is an object of that name."""
        return bool(self._blob(name).exists())

    def write(self, name: str, content: bytes) -> None:
        """Make an object."""
        self._blob(name).upload_from_string(content)

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket, if there is none of that name."""
        if not self._client.bucket(bucket).exists():
            self._client.create_bucket(bucket)

    def _blob(self, name: str) -> Any:
        parts = urlsplit(name)
        return self._client.bucket(parts.netloc).blob(parts.path.lstrip("/"))


class Step(NamedTuple):
    """A transform of the graph.

    Attributes:
        name: as Dataflow shows it, with the names of the composites that it is in: ``Read/Batch``.
        urn: what it is.
        is_composite: whether it is made of others.
        content: all that is declared about it.
    """

    name: str
    urn: str
    is_composite: bool
    content: bytes


class PubsubRead(NamedTuple):
    """A read by Dataflow itself."""

    step: str
    subscription: str
    topic: str
    whole_messages: bool


class Staged(NamedTuple):
    """A file that workers fetch when they start."""

    name: str
    url: str
    sha256: str


@dataclass(frozen=True)
class JobGraph:
    """A job that was built.

    Attributes:
        job: what is sent to Dataflow, a ``Job`` of its REST API.
        job_bytes: size of that.
        pipeline: the graph.
        pipeline_bytes: the same, serialized.
        sessions: pickles of what else workers load when they start.
    """

    job: dict[str, Any]
    job_bytes: int
    pipeline: model.Pipeline
    pipeline_bytes: bytes
    sessions: tuple[bytes, ...] = ()

    @property
    def is_streaming(self) -> bool:
        """Whether the job goes on without end."""
        return bool(self.job.get("type") == "JOB_TYPE_STREAMING")

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the job."""
        return dict(self.job.get("labels", {}))

    @property
    def environment(self) -> dict[str, Any]:
        """How the job runs."""
        return dict(self.job.get("environment", {}))

    @property
    def options(self) -> dict[str, Any]:
        """The pipeline's options, as workers get them."""
        return dict(self.environment.get("sdkPipelineOptions", {}).get("options", {}))

    @property
    def hash_is_right(self) -> bool:
        """Whether the graph is the one that the job means."""
        return self.options.get("pipelineProtoHash") == _sha256(self.pipeline_bytes)

    @property
    def images(self) -> set[str]:
        """Container images of the workers."""
        pools = self.environment.get("workerPools", [])
        images = [each for pool in pools for each in pool.get("sdkHarnessContainerImages", [])]
        return {str(each.get("containerImage")) for each in images}

    @cached_property
    def steps(self) -> list[Step]:
        """All transforms, a composite before its parts, in the order of their construction."""
        return list(self._below(self.pipeline.root_transform_ids))

    def _below(self, ids: Any) -> Iterator[Step]:
        for each in ids:
            transform = self.pipeline.components.transforms[each]
            inner = transform.subtransforms
            if transform.unique_name != each:  # the root, which Beam adds, has its id for a name
                content = transform.SerializeToString()
                yield Step(transform.unique_name, transform.spec.urn, bool(inner), content)
            yield from self._below(inner)

    @cached_property
    def pickled(self) -> dict[str, Pickled]:
        """What is pickled, by the step; that of coders and windows by their ids."""
        found = {step.name: _all_pickled(step.content) for step in self.steps}
        parts = self.pipeline.components
        for kind in (parts.coders, parts.windowing_strategies):
            for name, each in kind.items():
                found[name] = _all_pickled(each.SerializeToString())
        for number, session in enumerate(self.sessions):
            found[f"{_MAIN_SESSION} {number}"] = inspect_pickle(session)
        return {name: each for name, each in found.items() if each.names or each.texts}

    @cached_property
    def pubsub_reads(self) -> list[PubsubRead]:
        """The reads of Dataflow's own."""
        return [self._pubsub_read(step) for step in self.steps if step.urn == _PUBSUB_READ]

    def _pubsub_read(self, step: Step) -> PubsubRead:
        spec = model.PTransform.FromString(step.content).spec
        payload = model.PubSubReadPayload.FromString(spec.payload)
        return PubsubRead(
            step.name, payload.subscription, payload.topic, bool(payload.with_attributes)
        )

    @cached_property
    def staged(self) -> list[Staged]:
        """The files that workers fetch."""
        found = []
        for environment in self.pipeline.components.environments.values():
            for each in environment.dependencies:
                if each.role_urn == _STAGED:
                    role = model.ArtifactStagingToRolePayload.FromString(each.role_payload)
                    place = model.ArtifactUrlPayload.FromString(each.type_payload)
                    found.append(Staged(role.staged_name, place.url, place.sha256))
        return found


def read_job(objects: Objects, location: str) -> JobGraph:
    """Read a job that was built, with all that belongs to it.

    Args:
        objects: of Cloud Storage.
        location: of the job's file, as ``--template_location`` gave it.

    Raises:
        DataError: the file or the graph is missing, or can't be read.
    """
    content = _required(objects, location, "the job's file")
    try:
        job = json.loads(content)
        url = str(job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{location}: is no job that names its pipelineUrl ({error!r})") from error
    graph = _required(objects, url, "the graph that the job names")
    try:
        pipeline = model.Pipeline.FromString(graph)
    except DecodeError as error:
        raise DataError(f"{url}: is no pipeline of Beam's model ({error})") from error
    found = JobGraph(job, len(content), pipeline, graph)
    sessions = [each.url for each in found.staged if each.name == _MAIN_SESSION]
    read = tuple(_required(objects, each, "the main session") for each in sessions)
    return JobGraph(job, len(content), pipeline, graph, read)


def _required(objects: Objects, name: str, what: str) -> bytes:
    content = objects.read(name)
    if content is None:
        raise DataError(f"{name}: {what} is missing")
    return content


def _all_pickled(content: bytes) -> Pickled:
    found = Pickled()
    for each in pickles(content):
        found.add(inspect_pickle(each))
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
