"""A file that declares schemas, topics and subscriptions, made or updated when the broker starts.

``marked.py`` reads YAML with line numbers, ``reading.py`` makes requests of the API from it,
``applying.py`` carries them out, after a rehearsal on a copy. PyYAML is imported here alone, and
only where there is such a file.
"""
