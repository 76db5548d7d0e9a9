"""Naming: an error of a connector tells flags, not arguments of Python."""

from dataclasses import dataclass

import pytest

from pipelines import kinds
from pipelines.naming import naming_flags
from pipelines.params import Group, param
from transforms.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Params(Group):
    """Some parameters."""

    lake: str = param(kinds.FOLDER, "Input.")
    output: str = param(kinds.FOLDER, "Output.", default="./lake")
    schema: str | None = param(kinds.FOLDER, "Columns.", required=False)
    add_columns: bool = param(kinds.SWITCH, "Add.", default="false")
    table_format: str = param(kinds.TABLE_FORMAT, "Format.", default="parquet")
    shards: int = param(kinds.COUNT, "Parts.", default="1")
    max_messages: int | None = param(kinds.COUNT, "Stop.", default="1")


def told(*error: str) -> ConfigError:
    with pytest.raises(ConfigError) as found, naming_flags(Params(lake="./in")):
        raise ConfigError(*error)
    return found.value


def test_flag_is_found_by_its_value() -> None:
    """A folder is told as it was typed, however the connector calls it."""
    assert str(told("path", "./in", "is bad", "Mend it")) == "--lake='./in': is bad. Mend it"


def test_flag_of_the_same_name_comes_first() -> None:
    """Where two flags have the same value, the argument tells which one it is."""
    assert told("max_messages", 1, "is few", "Give more").name == "--max_messages"
    assert told("shards", 1, "is few", "Give more").name == "--shards"


def test_flag_is_found_by_its_name() -> None:
    """A value that is a part of the flag's, such as a column, is told with the flag."""
    error = told("schema", "at: string", "is no column", "Drop it")
    assert str(error) == "--schema='at: string': is no column. Drop it"


def test_arguments_in_the_text_are_flags() -> None:
    """What the fix names can be typed; what is no parameter stays as it is."""
    error = told(
        "what", "x", "is bad, max_messages= too",
        "Give add_columns=true, table_format=delta, day=date(at) or shards=2",
    )  # fmt: skip
    assert error.rule == "is bad, --max_messages too"
    assert error.fix == "Give --add_columns, --table_format=delta, day=date(at) or --shards=2"


def test_error_that_names_its_flag_is_left_alone() -> None:
    """Who raised it knew more, and nothing else is lost on the way."""
    error = ConfigError("--other", "./in", "is bad", "Mend it")
    with pytest.raises(ConfigError) as found, naming_flags(Params(lake="./in")):
        raise error
    assert found.value is error
