"""Named outputs of a user's function, as they are written on a command line."""

import pytest

from connectors.dead_letter import Folder
from pipelines.named_outputs import OUTPUTS, NamedOutput
from transforms.errors import ConfigError


def test_outputs_are_topics_and_folders() -> None:
    """Each by a name; the step that writes it is named after it."""
    late, odd = OUTPUTS.parse("late=projects/p/topics/late, odd=./odd")
    assert (late.step, str(late.target)) == ("Output late", "projects/p/topics/late")
    assert odd == NamedOutput("odd", Folder("./odd"))
    assert OUTPUTS.parse("") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("late", "must be NAME=TOPIC or NAME=FOLDER"),
        ("2nd=./odd", "the name of letters, digits and _"),
        ("late=project.dataset.table", "names a table, .* Write late=./project.dataset.table if"),
        ("late=projects/p/topics/x", "3 to 255"),
        ("late=", "must be a topic, a table, or a folder"),
        ("late=./a,odd=./b,late=./c", "is given twice"),
    ],
)
def test_what_is_no_output_is_refused(text: str, says: str) -> None:
    """With the rule and the fix."""
    with pytest.raises(ConfigError, match=says):
        OUTPUTS.parse(text)
