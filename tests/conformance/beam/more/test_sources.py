"""Beam's tests of sources and sinks, with and without end."""

from tests.conformance.beam import suites

globals().update(suites.classes(suites.SOURCES))
