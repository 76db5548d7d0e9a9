"""What is told of a pickle without unpickling it."""

from __future__ import annotations

import bz2
import datetime as dt
import pickle
import zlib
from collections import Counter, OrderedDict
from pathlib import PurePosixPath
from typing import Any

import pytest
from apache_beam.internal import cloudpickle_pickler

from templates.rehearsal.pickled import inspect_pickle, pickles
from transforms.dedup import Deduplicate

VALUE = [OrderedDict(a="text"), Counter("ab"), dt.timedelta(1), PurePosixPath("/some/place")]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_imports_and_texts_are_told(protocol: int) -> None:
    """In every protocol, and also where a name comes twice and is only referred to."""
    found = inspect_pickle(pickle.dumps([*VALUE, *VALUE], protocol))
    assert {"OrderedDict", "Counter"} <= found.names["collections"]
    assert found.names["datetime"] == {"timedelta"}
    assert found.names["pathlib"] == {"PurePosixPath"}
    assert {"text", "some", "place"} <= found.texts


class Trap:
    """Does something when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('was unpickled')",)


def test_nothing_is_unpickled() -> None:
    """What would be run is only told."""
    found = inspect_pickle(pickle.dumps(Trap()))
    assert found.names["builtins"] == {"exec"}
    assert "raise SystemExit('was unpickled')" in found.texts


@pytest.mark.parametrize("use_zlib", [False, True])
def test_pickles_of_beam_are_found_among_other_bytes(use_zlib: bool) -> None:
    """Whatever is around them: base64 does not tell where it ends."""
    one = cloudpickle_pickler.dumps(VALUE, use_zlib=use_zlib)
    for before, after in ((b"", b""), (b"\x0a\x10", b"\x12"), (b"A/", b"xyz\x08"), (b"=", b"Q")):
        content = before + one.rstrip(b"=") + after + b"\x00" + one
        found = [inspect_pickle(each) for each in pickles(content)]
        assert [sorted(each.names) for each in found] == [
            ["collections", "datetime", "pathlib"]
        ] * 2


def test_pickle_within_a_pickle_is_looked_into() -> None:
    """As bytes, and as Beam writes it."""
    inner = pickle.dumps({"within": dt.timedelta(1)})
    packed = cloudpickle_pickler.dumps({"packed": PurePosixPath("x")})
    found = inspect_pickle(pickle.dumps([inner, packed]))
    assert {"datetime", "pathlib"} <= set(found.names)
    assert {"within", "packed"} <= found.texts


@pytest.mark.parametrize(
    "content",
    [
        b"", b"QlpoOT", b"eNo", b"QlpoOTFBWSZTWQQQQQQQQQQQQQQQQ", b"eNoQQQQQQQQQQQQQQQ",
        bz2.compress(b"raw"), zlib.compress(b"raw"),
    ],
)  # fmt: skip
def test_what_only_looks_like_one_is_none(content: bytes) -> None:
    """Bytes of a value may begin in the same way."""
    assert list(pickles(content)) == []


def test_text_that_begins_like_a_pickle_does_no_harm() -> None:
    """A value of bytes that has the first bytes of one."""
    assert inspect_pickle(pickle.dumps([b"\x80\x05 and no more", "text"])).texts == {"text"}


def test_step_of_ours_is_known_by_its_module() -> None:
    """The case that it is made for."""
    (content,) = pickles(cloudpickle_pickler.dumps(Deduplicate))
    assert inspect_pickle(content).names == {"transforms.dedup": {"Deduplicate"}}
