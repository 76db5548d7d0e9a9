"""Changes: what becomes of a job that goes on with other parameters."""

from collections.abc import Mapping

import pytest

from pipelines import kinds
from pipelines.changes import Remembered, refused, retyped, told
from pipelines.kind import Kind
from pipelines.launch import beam_parser
from pipelines.params import parse_flags, remembered, specs
from tests.commands import PIPELINES, ROOT, command, module_of
from transforms.errors import ConfigError

OLD = {"window": "fixed:1h", "keys": "a", "schema": "a: int64\nb: string", "more": "1"}
CHANGES = {
    "window": told("open ones stay"),
    "keys": refused("they are forgotten"),
    "schema": refused("rows have it", retyped),
}
KINDS: dict[str, Kind] = {"window": kinds.WINDOW, "keys": kinds.FIELD, "schema": kinds.SCHEMA_FILE}


def lines(now: Mapping[str, str], before: Mapping[str, str] = OLD) -> list[str]:
    texts = {name: now.get(name, OLD[name]) for name in CHANGES}
    return Remembered(CHANGES, KINDS, texts).compare(before)


def test_harmless_change_is_told() -> None:
    """The line has the flag, both values and what happens."""
    assert lines({"window": "2h"}) == ["--window was 'fixed:1h' and is '2h': open ones stay"]


def test_same_value_in_other_words_is_no_change() -> None:
    """Who leaves out a default, or writes it out, has changed nothing."""
    assert lines({"window": "1h"}) == []
    assert lines({}) == []


def test_harmful_change_is_refused() -> None:
    """The error has the flag, both values, the reason and the way to change it all the same."""
    with pytest.raises(ConfigError) as error:
        lines({"window": "2h", "keys": "b"})
    assert error.value.name == "--keys"
    assert error.value.value == "b"
    assert "was 'a' when this job began, and they are forgotten" in error.value.rule
    assert "--on_stop=drain" in error.value.fix


def test_schema_is_compared_by_column() -> None:
    """New columns, and columns less, do no harm; another type does, and it alone is told."""
    added = lines({"schema": "a: int64\nb: string\nc: date32[day]"})
    assert added == ["--schema was '' and is 'c: date32[day]': rows have it"]
    assert lines({"schema": "a: int64"})
    with pytest.raises(ConfigError, match=r"--schema='a: string': was 'a: int64' when"):
        lines({"schema": "a: string\nb: string"})


def test_what_was_not_kept_is_not_compared() -> None:
    """A state of before, and one of a version with fewer parameters, can go on."""
    assert lines({"keys": "b"}, {}) == []


SHAPING = {
    "allowed_lateness", "by", "dedup_by", "dedup_horizon", "event_time", "measures", "schema",
    "shards", "trigger", "udf_schema", "window",
}  # fmt: skip


@pytest.mark.parametrize("pipeline", [name for name in PIPELINES if name.startswith("pubsub_")])
def test_parameters_that_shape_a_state_are_remembered(
    pipeline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of windows, de-duplication and answers; columns only where windows hold rows."""
    monkeypatch.chdir(ROOT)
    argv = command(pipeline)
    params, _ = parse_flags(module_of(pipeline).Params, argv, beam_parser())
    kept = remembered(params, argv)
    declared = {spec.name for spec in specs(type(params))} & SHAPING
    if "window" not in declared:
        declared -= {"schema", "udf_schema"}
    assert declared == set(kept.texts) & SHAPING
    assert kept.compare(kept.texts) == []
    if "schema" in kept.texts and params.schema is not None:
        assert "carrier: string" in kept.texts["schema"].splitlines()
