"""The durable local runner: any Beam pipeline on one machine, in batch and in streaming."""
