"""Beam's transforms that have no implementation on one machine, and where theirs is found.

The runner imports nothing of the connectors. It knows the module by name, as a plug-in; where it
is not installed, such a transform is refused by Beam as on any other runner.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence

from apache_beam.io.gcp.pubsub import ReadFromPubSub, WriteToPubSub
from apache_beam.pipeline import Pipeline

from runners.local.internals import AppliedPTransform, PipelineVisitor, PTransformOverride

__all__ = ["replacements"]

_PLUG_IN = "connectors.pubsub.beam_read"
_REPLACED = (ReadFromPubSub, WriteToPubSub)


def replacements(pipeline: Pipeline) -> Sequence[PTransformOverride]:
    """Return the overrides that a pipeline needs."""
    if not _uses_pubsub(pipeline) or importlib.util.find_spec(_PLUG_IN) is None:
        return ()
    overrides: Sequence[PTransformOverride] = importlib.import_module(_PLUG_IN).OVERRIDES
    return overrides


def _uses_pubsub(pipeline: Pipeline) -> bool:
    found = False

    class Search(PipelineVisitor):
        def enter_composite_transform(self, transform_node: AppliedPTransform) -> None:
            nonlocal found
            found = found or isinstance(transform_node.transform, _REPLACED)

    pipeline.visit(Search())
    return found
