"""What runs: each module is Params and build(), started as ``python -m pipelines.NAME``."""
