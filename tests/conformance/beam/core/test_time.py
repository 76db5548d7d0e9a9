"""Beam's tests of time: TestStream, triggers, state and timers."""

from tests.conformance.beam import suites

globals().update(suites.classes(suites.TIME))
