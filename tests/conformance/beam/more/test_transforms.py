"""Beam's tests of further transforms."""

from tests.conformance.beam import suites

globals().update(suites.classes(suites.TRANSFORMS))
