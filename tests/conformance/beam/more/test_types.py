"""Beam's tests of types and coders."""

from tests.conformance.beam import suites

globals().update(suites.classes(suites.TYPES))
