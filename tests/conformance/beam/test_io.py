"""Beam's tests of sources and sinks of files."""

from tests.conformance.beam import suites

globals().update(suites.classes(suites.IO))
