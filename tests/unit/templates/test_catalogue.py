"""The catalogue has every pipeline, under names that people would type."""

import re

import pytest

from pipelines.params import ConfigError
from templates.catalogue import TEMPLATES, Template, find
from tests.commands import PIPELINES


def test_every_pipeline_is_a_template() -> None:
    """A pipeline that can be started is in the catalogue, in the order of the alphabet."""
    assert [template.name for template in TEMPLATES] == PIPELINES


@pytest.mark.parametrize("name", ["pubsub_to_lake", "pubsub-to-lake", "PubSub_to_Lake"])
def test_a_template_is_found_by_any_of_its_names(name: str) -> None:
    """With dashes or underscores, and by the name in the style of Google's catalogue."""
    assert find(name).name == "pubsub_to_lake"


def test_an_unknown_name_is_refused() -> None:
    """The error names the template that was probably meant."""
    with pytest.raises(ConfigError, match="Did you mean pubsub_to_lake"):
        find("pubsub_to_lak")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_description_is_whole_sentences(template: Template) -> None:
    """No command line, and no line end, gets into the metadata."""
    assert template.description.endswith(".")
    assert not re.search(r"\n|python -m", template.description)
