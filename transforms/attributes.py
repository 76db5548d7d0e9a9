"""Attributes of messages as columns: more of them, or fewer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.message import ATTRIBUTES, MESSAGE_SCHEMA

__all__ = ["appended", "without"]

_TYPE = MESSAGE_SCHEMA.field(ATTRIBUTES).type


def appended(attributes: pa.Array, more: Mapping[str, pa.Array]) -> pa.Array:
    """Return maps with further entries behind their own; a null value adds none.

    Args:
        attributes: maps of string to string; null is as good as empty.
        more: a column of texts by the key of the entry.
    """
    keys, items, owners = [], [], []
    own_keys, own_items, own = _entries(attributes)
    keys.append(own_keys)
    items.append(own_items)
    owners.append(own)
    for name, values in more.items():
        rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        keys.append(pa.repeat(name, len(rows)))
        items.append(values.drop_null())
        owners.append(rows)
    owner = np.concatenate(owners)
    order = pa.array(np.argsort(owner, kind="stable"))
    return _maps(
        owner,
        len(attributes),
        pa.concat_arrays(keys).take(order),
        pa.concat_arrays(items).take(order),
    )


def without(attributes: pa.Array, names: Sequence[str]) -> pa.Array:
    """Return maps without the entries of these keys; null becomes empty."""
    keys, items, owner = _entries(attributes)
    kept = pc.invert(pc.is_in(keys, value_set=pa.array(names, pa.string())))
    chosen = kept.to_numpy(zero_copy_only=False)
    return _maps(owner[chosen], len(attributes), keys.filter(kept), items.filter(kept))


def _entries(attributes: pa.Array) -> tuple[pa.Array, pa.Array, npt.NDArray[np.int64]]:
    """Return keys and items one after the other, and the row of each."""
    offsets = attributes.offsets.to_numpy()
    start, count = int(offsets[0]), int(offsets[-1] - offsets[0])
    owner = np.repeat(np.arange(len(attributes)), np.diff(offsets))
    valid = attributes.is_valid().to_numpy(zero_copy_only=False)[owner]
    keys, items = attributes.keys.slice(start, count), attributes.items.slice(start, count)
    mask = pa.array(valid)
    return keys.filter(mask), items.filter(mask), owner[valid]


def _maps(owner: npt.NDArray[np.int64], rows: int, keys: pa.Array, items: pa.Array) -> pa.Array:
    """Return maps of entries that are sorted by their row."""
    counts = np.bincount(owner, minlength=rows)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    return pa.MapArray.from_arrays(offsets, keys, items).cast(_TYPE)
