"""Beam's tests of time: TestStream, triggers, state, timers and sources without end."""

from tests.conformance.beam import suites

globals().update(suites.classes(suites.STREAMING))
