"""Beam's tests of pipelines, types, coders and metrics."""

from tests.conformance.beam import suites

globals().update(suites.classes(suites.CORE))
