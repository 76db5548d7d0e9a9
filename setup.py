"""Let Dataflow build this project: ``--setup_file`` takes a setup.py, not a pyproject.toml."""

from setuptools import setup

setup()
