"""Rules between parameters."""

import os

import pytest

from pipelines.checks import require_apart
from transforms.errors import ConfigError


@pytest.mark.parametrize(
    ("folder", "other"),
    [
        ("./lake", "./lake"),
        ("./lake/dead", "./lake"),
        ("lake", "./lake/dead"),
        (os.path.abspath("lake/dead"), "lake"),
        ("a/../lake", "lake"),
        ("gs://b/lake/dead", "gs://b/lake"),
        ("gs://b/lake//dead", "gs://b/lake"),
    ],
)
def test_folder_within_another_is_refused(folder: str, other: str) -> None:
    """However the paths are written, a reader of one never meets the files of the other."""
    with pytest.raises(ConfigError, match="--output"):
        require_apart("--dead_letter", folder, "--output", other)


@pytest.mark.parametrize(
    ("folder", "other"),
    [("dead", "lake"), ("lake2", "lake"), ("gs://b/dead", "gs://b/lake"), ("gs://b/x", "b/x")],
)
def test_folders_beside_each_other_are_accepted(folder: str, other: str) -> None:
    """A name that only begins alike is another folder."""
    require_apart("--dead_letter", folder, "--output", other)
