"""The options of the local runner, read and checked."""

from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from runners.local.errors import OptionError
from runners.local.options import LocalOptions, Settings, settings


def read(*argv: str, **keywords: Any) -> Settings:
    """Return the settings of a command line and of keywords."""
    return settings(PipelineOptions(list(argv), **keywords))


def test_defaults_keep_nothing_and_try_once() -> None:
    """Without options a job has temporary state, this process and one attempt."""
    assert read() == Settings("job", None, "suspend", 1, 1)


def test_state_that_lasts_makes_retries_sensible() -> None:
    """With a state folder failing work is tried again, unless the user says how often."""
    assert read("--state_dir=./state").max_attempts == 4
    assert read("--state_dir=./state", "--max_attempts=1").max_attempts == 1
    assert read("--max_attempts=7").max_attempts == 7


def test_every_option_by_flag_and_by_keyword() -> None:
    """Flags and keywords are the same options, and Beam's job name is the job's."""
    argv = ["--job_name=flights", "--state_dir=s", "--on_stop=drain", "--workers=2"]
    keywords = {"job_name": "flights", "state_dir": "s", "on_stop": "drain", "workers": 2}
    assert read(*argv) == read(**keywords) == Settings("flights", "s", "drain", 2, 4)


@pytest.mark.parametrize(
    ("flag", "values"),
    [
        ("job_name", ["", "a/b", "..", "-x", "a b", "x" * 129]),
        ("state_dir", ["", "gs://bucket/state"]),
        ("on_stop", ["", "Drain", "cancel"]),
        ("workers", ["0", "-1", "two", "1.5", "", "257", True]),
        ("max_attempts", ["0", "many", "1001"]),
    ],
)
def test_bad_value_is_refused_with_its_flag(flag: str, values: list[Any]) -> None:
    """Every bad value is named with its flag, by keyword as well as on the command line."""
    for value in values:
        given = {"state_dir": "./state"} | {flag: value}
        with pytest.raises(OptionError, match=f"--{flag}={value!r}: must be "):
            read(**given)
        with pytest.raises(OptionError, match=f"--{flag}='{value}': must be "):
            read(*(f"--{name}={text}" for name, text in given.items()))


def test_name_is_free_where_no_folder_takes_it() -> None:
    """Without a state folder a job may be called anything."""
    assert read("--job_name=my job/1").job_name == "my job/1"


def test_validate_lists_every_problem() -> None:
    """By Beam's convention all that is wrong is returned as texts."""
    options = PipelineOptions(["--workers=0", "--on_stop=no"]).view_as(LocalOptions)
    problems = options.validate(None)
    assert [problem.partition("=")[0] for problem in problems] == ["--on_stop", "--workers"]
    assert PipelineOptions([]).view_as(LocalOptions).validate(None) == []


def test_no_option_of_beam_is_taken_for_ours() -> None:
    """Beam's flags that begin or end alike, and abbreviations of ours, leave our options alone."""
    settled = read("--worker_zone=z", "--num_workers=3", "--direct_num_workers=4", "--work=5")
    assert settled == read()


def test_every_option_of_beam_is_known_beside_ours() -> None:
    """No flag of ours collides with another one: Beam parses them all together for a job."""
    everything = PipelineOptions(["--workers=2", "--streaming"]).get_all_options()
    assert everything["workers"] == "2"
    assert everything["streaming"] is True
