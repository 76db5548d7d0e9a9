"""Beam's tests of what it runs pipelines with."""

from tests.conformance.beam import suites

globals().update(suites.classes(suites.RUNNERS))
