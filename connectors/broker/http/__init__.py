"""The broker over HTTP: the REST API, readiness, metrics, and a page to look at.

``listening.py`` opens the port and imports the rest, with aiohttp, when the first client connects:
that takes 0.2 s, as long as the whole start of the broker.
"""
