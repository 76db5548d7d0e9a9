"""The edges: each module reads from or writes to one system, used through the module.

For example ``from connectors import lake`` and then ``lake.Write(...)``.
"""
