"""The errors, for those who start pipelines: templates import no layer below pipelines."""

from __future__ import annotations

from transforms.errors import (
    ConfigError,
    DataError,
    HeadraceError,
    PermanentError,
    TransientError,
)

__all__ = ["ConfigError", "DataError", "HeadraceError", "PermanentError", "TransientError"]
