"""Packaging of the pipelines for Dataflow: derived from their Params, nothing is declared twice."""
