"""Reusable Beam transforms on Arrow batches: no socket, no file, no client, no clock.

Import what you need from its module, for example ``from transforms.parse import Parse``.
"""
