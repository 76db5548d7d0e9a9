"""The durable local runner: any Beam pipeline on one machine, in batch and in streaming."""

from runners.local.runner import LocalRunner

__all__ = ["LocalRunner"]
