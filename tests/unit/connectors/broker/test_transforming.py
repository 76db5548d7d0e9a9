"""Rows through functions and back."""

import asyncio
import subprocess
import sys
from datetime import datetime, timezone

import pyarrow as pa
import pytest

from connectors.broker import limits, rows
from connectors.broker.errors import InvalidArgument
from connectors.broker.settings import Transform
from connectors.broker.transforming import Transforming, active

pytest.importorskip("py_mini_racer")

NAMED = Transform(
    "f",
    """function f(message, metadata) {
      if (message.data === "drop") return null;
      if (message.data === "fail") throw "no";
      return {data: message.data + metadata.ordering_key, attributes: metadata};
    }""",
)


def batch(*data: bytes) -> pa.RecordBatch:
    """Return stored messages."""
    time = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=timezone.utc)
    return pa.RecordBatch.from_pylist(
        [
            {"data": each, "attributes": [("a", "b")], "message_id": str(n), "publish_time": time,
             "ordering_key": "k"}
            for n, each in enumerate(data)
        ],
        schema=rows.STORED,
    )  # fmt: skip


def test_rows_are_kept_dropped_or_faulty() -> None:
    """Kept ones stay in order; data that is not text can't be transformed."""

    async def run() -> None:
        transforming = Transforming()
        try:
            done = await transforming.apply((NAMED,), batch(b"x", b"drop", b"\xff", b"fail", b"y"))
        finally:
            transforming.close()
        assert done.data.to_pylist() == [b"xk", b"yk"]
        assert [dict(each)["message_id"] for each in done.attributes.to_pylist()] == ["0", "4"]
        assert dict(done.attributes.to_pylist()[0])["publish_time"] == "2026-01-02T03:04:05Z"
        assert done.attributes.type == rows.STORED.field("attributes").type
        assert done.kept.tolist() == [True, False, False, False, True]
        assert done.faults == {2: "its data is not UTF-8 text", 3: "no"}

    asyncio.run(run())


def test_nothing_at_all_can_be_transformed() -> None:
    """No rows in, no rows out."""

    async def run() -> None:
        transforming = Transforming()
        done = await transforming.apply((NAMED,), batch())
        transforming.close()
        assert len(done.data) == len(done.attributes) == done.kept.size == 0

    asyncio.run(run())


def test_close_waits_for_one_message_and_not_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though there are minutes of work."""
    monkeypatch.setattr(limits, "UDF_S_MAX", 0.2)
    slow = Transform("f", "function f(m) { const t = Date.now(); while (Date.now() < t + 100); }")

    async def run() -> None:
        transforming = Transforming()
        applying = asyncio.ensure_future(transforming.apply((slow,), batch(*[b"x"] * 1_000)))
        while not transforming._engines:
            await asyncio.sleep(0.01)
        transforming.close()
        done = await applying
        assert "closed" in done.faults[999]

    asyncio.run(asyncio.wait_for(run(), 20))


def test_more_resources_than_engines_are_served() -> None:
    """The one that was used longest ago makes room and is compiled anew when it is needed."""

    async def run() -> None:
        transforming = Transforming()
        for number in (*range(18), 0):
            code = f"function f(m) {{ return {{data: '{number}'}}; }}"
            done = await transforming.apply((Transform("f", code),), batch(b"x"))
            assert done.data.to_pylist() == [str(number).encode()]
        transforming.close()

    asyncio.run(run())


def test_check_refuses_and_passes_none() -> None:
    """No transforms need no engine."""

    async def run() -> None:
        transforming = Transforming()
        await transforming.check(())
        await transforming.check((NAMED,))
        with pytest.raises(InvalidArgument):
            await transforming.check((Transform("g", NAMED.code),))
        transforming.close()

    asyncio.run(run())


def test_disabled_transforms_are_not_active() -> None:
    """So that messages pass by them untouched."""
    off = Transform("f", NAMED.code, disabled=True)
    assert active([off, NAMED])
    assert not active([off])
    assert not active([])


def test_import_does_not_load_the_engine() -> None:
    """The broker starts fast; few topics have transforms."""
    code = (
        "import connectors.broker.transforming, sys;"
        "sys.exit(bool({'py_mini_racer', 'pandas'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
