"""Options of Beam's workers that Google's Flex templates take among the parameters."""

from __future__ import annotations

__all__ = ["EXPERIMENTS", "OPTIONS"]

OPTIONS = {
    "autoscalingAlgorithm": "autoscalingAlgorithm",
    "dataflowKmsKey": "kmsKeyName",
    "diskSizeGb": "diskSizeGb",
    "enableStreamingEngine": "enableStreamingEngine",
    "experiments": "additionalExperiments",
    "gcpTempLocation": "tempLocation",
    "maxNumWorkers": "maxWorkers",
    "network": "network",
    "numWorkers": "numWorkers",
    "sdkContainerImage": "sdkContainerImage",
    "serviceAccount": "serviceAccountEmail",
    "stagingLocation": "stagingLocation",
    "subnetwork": "subnetwork",
    "tempLocation": "tempLocation",
    "usePublicIps": "ipConfiguration",
    "workerMachineType": "machineType",
    "workerRegion": "workerRegion",
    "workerZone": "workerZone",
}
"""Names of Beam for Java, and those of the REST API."""

EXPERIMENTS = {"streaming_mode_at_least_once": "STREAMING_MODE_AT_LEAST_ONCE"}
"""Experiments that stand for a streaming mode."""
