"""Topics, subscriptions and snapshots as resources: requests to settings, settings to responses.

lookup.py                                   finding what a request names
topics.py, subscriptions.py, snapshots.py   the methods
*_settings.py, push.py, transforms.py       resources of the API to settings and back
masks.py, labels.py, durations.py, times.py, unsupported.py   rules that they share
"""

from __future__ import annotations

from connectors.broker.catalog.lookup import Catalog

__all__ = ["Catalog"]
