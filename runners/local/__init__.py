"""The durable local runner."""
