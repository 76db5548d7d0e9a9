"""Google's directories with dates, as our output and folders."""

import datetime as dt

import pytest

from pipelines.kinds import FOLDER_TEMPLATE
from pipelines.params import ConfigError
from templates.google.dates import PATTERNS, folders
from templates.google.declared import Values

DEFAULTS = {each.name: each.default for each in PATTERNS}


def made(path: str, **patterns: str) -> tuple[str, str]:
    found = folders(Values({"outputDirectory": path, **patterns}, DEFAULTS))
    FOLDER_TEMPLATE.parse(found["folders"])
    return found["output"], found["folders"]


@pytest.mark.parametrize(
    ("path", "patterns", "output", "template"),
    [
        ("gs://b/flights/", {}, "gs://b/flights", ""),
        ("gs://b", {}, "gs://b", ""),
        ("gs://b/a/YYYY/MM/dd/HH/mm/", {}, "gs://b/a", "%Y/%m/%d/%H/%M"),
        ("gs://b/YYYY-MM/x/HH", {}, "gs://b", "%Y-%m/x/%H"),
        ("gs://b/a/dt=YYYY-MM-DD/", {}, "gs://b/a", "dt=%Y-%m-%d"),
        ("gs://b//a//YYYY//MM", {}, "gs://b/a", "%Y/%m"),
        ("gs://MM/YYYY", {}, "gs://MM", "%Y"),
        ("gs://b/YYYY/DD", {"dayPattern": "DD"}, "gs://b", "%Y/%j"),
        ("gs://b/YYYY/DDD", {"dayPattern": "DDD"}, "gs://b", "%Y/%j"),
        ("gs://b/{YYYY}/{M}", {"yearPattern": "{YYYY}", "monthPattern": "{M}"}, "gs://b", "%Y/%m"),
        ("gs://b/a/yyyy", {"yearPattern": "yyyy"}, "gs://b/a", "%Y"),
        ("./out/YYYY", {}, "./out", "%Y"),
        ("/data/out/HH/", {}, "/data/out", "%H"),
        ("YYYY", {}, ".", "%Y"),
        ("gs://${env:BUCKET}/a/YYYY", {}, "gs://${env:BUCKET}/a", "%Y"),
    ],
)
def test_the_part_with_dates_becomes_folders(
    path: str, patterns: dict[str, str], output: str, template: str
) -> None:
    """The bucket has none, and what Google takes for a date is one here."""
    assert made(path, **patterns) == (output, template)


def test_the_template_means_what_googles_did() -> None:
    """Of one and the same time: the folder that Google's letters name."""
    _, template = made("gs://b/YYYY/MM/dd/HH/mm")
    assert dt.datetime(2026, 1, 2, 3, 4).strftime(template) == "2026/01/02/03/04"


@pytest.mark.parametrize(
    ("path", "patterns", "name"),
    [
        ("gs://b/YY", {"yearPattern": "YY"}, "yearPattern"),
        ("gs://b/MMM", {"monthPattern": "MMM"}, "monthPattern"),
        ("gs://b/x", {"hourPattern": "hh"}, "hourPattern"),
        ("gs://b/50%/YYYY", {"yearPattern": "50%"}, "yearPattern"),
        ("gs://b/YYYY/50%", {}, "outputDirectory"),
        ("gs://b/${env:FOLDER}/YYYY", {}, "outputDirectory"),
        ("${env:DIRECTORY}", {}, "outputDirectory"),
    ],
)
def test_what_our_folders_have_not_is_refused(
    path: str, patterns: dict[str, str], name: str
) -> None:
    """Parts of the date in words or of two digits, and paths that are not known."""
    with pytest.raises(ConfigError) as caught:
        made(path, **patterns)
    assert caught.value.name == name
