"""Launches on Dataflow rehearsed on this machine, and classic templates."""
