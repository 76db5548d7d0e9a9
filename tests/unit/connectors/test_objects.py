"""Which store a path belongs to."""

from __future__ import annotations

import pytest

from connectors.local_store import LocalStore
from connectors.objects import ObjectStore, store_of
from transforms.errors import ConfigError


def test_paths_with_a_scheme_are_objects() -> None:
    """Local paths are never sent anywhere."""
    assert isinstance(store_of("gs://bucket/lake"), ObjectStore)
    assert isinstance(store_of("/data/lake"), LocalStore)


def test_other_schemes_are_refused() -> None:
    """What nobody has tested is not promised."""
    with pytest.raises(ConfigError, match="neither on this machine nor on Cloud Storage"):
        store_of("s3://bucket/lake")
