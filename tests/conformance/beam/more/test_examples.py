"""Beam's tests of its examples and of the snippets in its documentation."""

from tests.conformance.beam import suites

globals().update(suites.classes(suites.EXAMPLES))
