"""Files of functions on Cloud Storage."""

from __future__ import annotations

import pytest

from connectors.objects import ObjectStore
from connectors.udf import load, opened
from connectors.udf.reload import Latest
from tests.udfs import column, messages
from transforms.errors import ConfigError
from transforms.udf import Plan

pytestmark = pytest.mark.integration


def test_function_is_loaded_and_loaded_anew(bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    """By the generation of the object; one that is broken or gone is passed over."""
    path = f"{bucket}/functions/f.py"
    store = ObjectStore()
    store.write(path, b"def f(t: str): return t + '1'")
    now_s = 0.0
    latest = Latest(load(f"{path}:f"), 60.0, lambda: now_s)

    def given() -> list[bytes]:
        function = opened(latest.source(), Plan())
        try:
            return column(function.apply(messages(b"x")).ok, "data")
        finally:
            function.close()

    versions = [
        b"def f(t: str): return t + '2'",
        b"def f(t: str): return (",
        None,
        b"def f(t: str): return ''",
    ]
    assert given() == [b"x1"]
    found = []
    for content in versions:
        now_s += 60.0
        if content is None:
            store.remove(path)
        else:
            store.write(path, content)
        found += given()
    assert found == [b"x2", b"x2", b"x2", b""]
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == 2
    assert "does not compile" in warnings[0]


def test_missing_object_and_bucket_are_told(bucket: str) -> None:
    """As parameters that are wrong."""
    with pytest.raises(ConfigError, match=r"udf=.*there is no such file"):
        load(f"{bucket}/no_such.py:f")
    with pytest.raises(ConfigError, match=r"udf=.*no-such-bucket"):
        load("gs://no-such-bucket-of-headrace/f.py:f")
