"""Every name of Beam's internals that the local runner uses.

Beam gives no promise about these: they may move with any release. All other modules here import
them from this one, so that an upgrade shows in one place, and at once, what has moved.
"""

from apache_beam.coders import coder_impl, coders
from apache_beam.coders.coder_impl import create_InputStream, create_OutputStream
from apache_beam.internal import pickler
from apache_beam.metrics import monitoring_infos
from apache_beam.metrics.cells import BoundedTrieData
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor, PTransformOverride
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_interactive_api_pb2,
    beam_interactive_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_runner_api_pb2,
    metrics_pb2,
)
from apache_beam.runners import pipeline_context
from apache_beam.runners.pipeline_utils import (
    group_by_key_input_visitor,
    merge_common_environments,
    merge_superset_dep_environments,
    validate_pipeline_graph,
)
from apache_beam.runners.portability.fn_api_runner import translations
from apache_beam.runners.portability.fn_api_runner.execution import ENCODED_IMPULSE_VALUE
from apache_beam.runners.portability.fn_api_runner.fn_runner import (
    ExtendedProvisionInfo,
    FnApiMetrics,
)
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    BeamFnControlServicer,
    EmbeddedWorkerHandler,
    GrpcWorkerHandler,
    SingletonStateHandlerFactory,
    WorkerHandlerManager,
)
from apache_beam.runners.worker import sdk_worker, sdk_worker_main
from apache_beam.runners.worker.bundle_processor import (
    DATA_INPUT_URN,
    DATA_OUTPUT_URN,
    IDENTITY_DOFN_URN,
)
from apache_beam.runners.worker.data_plane import (
    BeamFnDataServicer,
    InMemoryDataChannelFactory,
    SizeBasedBufferingClosableOutputStream,
)
from apache_beam.runners.worker.log_handler import LOGENTRY_TO_LOG_LEVEL_MAP
from apache_beam.runners.worker.statecache import StateCache
from apache_beam.transforms import environments
from apache_beam.transforms.timeutil import (
    OutputAtEarliestInputTimestampImpl,
    OutputAtEndOfWindowImpl,
    OutputAtLatestInputTimestampImpl,
)
from apache_beam.transforms.trigger import Always, DataLossReason
from apache_beam.transforms.trigger import (
    _AfterSynchronizedProcessingTime as AfterSynchronizedProcessingTime,
)
from apache_beam.transforms.trigger import _Never as Never
from apache_beam.utils import proto_utils, thread_pool_executor

__all__ = [
    "DATA_INPUT_URN",
    "DATA_OUTPUT_URN",
    "ENCODED_IMPULSE_VALUE",
    "IDENTITY_DOFN_URN",
    "LOGENTRY_TO_LOG_LEVEL_MAP",
    "AfterSynchronizedProcessingTime",
    "Always",
    "AppliedPTransform",
    "BeamFnControlServicer",
    "BeamFnDataServicer",
    "BoundedTrieData",
    "DataLossReason",
    "EmbeddedWorkerHandler",
    "ExtendedProvisionInfo",
    "FnApiMetrics",
    "GrpcWorkerHandler",
    "InMemoryDataChannelFactory",
    "Never",
    "OutputAtEarliestInputTimestampImpl",
    "OutputAtEndOfWindowImpl",
    "OutputAtLatestInputTimestampImpl",
    "PTransformOverride",
    "PipelineVisitor",
    "SingletonStateHandlerFactory",
    "SizeBasedBufferingClosableOutputStream",
    "StateCache",
    "WorkerHandlerManager",
    "beam_fn_api_pb2",
    "beam_fn_api_pb2_grpc",
    "beam_interactive_api_pb2",
    "beam_interactive_api_pb2_grpc",
    "beam_provision_api_pb2",
    "beam_runner_api_pb2",
    "coder_impl",
    "coders",
    "common_urns",
    "create_InputStream",
    "create_OutputStream",
    "environments",
    "group_by_key_input_visitor",
    "merge_common_environments",
    "merge_superset_dep_environments",
    "metrics_pb2",
    "monitoring_infos",
    "pickler",
    "pipeline_context",
    "proto_utils",
    "python_urns",
    "sdk_worker",
    "sdk_worker_main",
    "thread_pool_executor",
    "translations",
    "validate_pipeline_graph",
]
