"""A template as a job on this machine."""
