"""The declared equivalents: complete beside Google's pages, and true to our parameters."""

import re
from collections import Counter

import pytest

from pipelines.params import ConfigError
from templates.catalogue import find as find_ours
from templates.google.declared import Equivalent, Refused, Taken, Unneeded
from templates.google.equivalents import ABSENT, EQUIVALENTS, find, named_by
from tests.google_templates import DEFAULTS, PUBLISHED

each_one = pytest.mark.parametrize("equivalent", EQUIVALENTS, ids=lambda each: each.google)


def test_every_template_of_the_list_is_there() -> None:
    """And none besides, so that each is compared with its page."""
    assert {each.google for each in EQUIVALENTS} == set(PUBLISHED)


@each_one
def test_each_parameter_of_the_page_has_one_rule(equivalent: Equivalent) -> None:
    """None is forgotten, invented or ruled twice; the defaults are those of the page."""
    counts = Counter(each.name for each in equivalent.parameters())
    assert set(counts) == set(PUBLISHED[equivalent.google].split())
    assert set(counts.values()) == {1}
    for each in equivalent.parameters():
        if each.name in DEFAULTS:
            assert each.default == DEFAULTS[each.name], each.name


@each_one
def test_ours_exist_and_are_given_once(equivalent: Equivalent) -> None:
    """Who renames a parameter of ours renames it here too."""
    specs = {spec.name: spec for spec in find_ours(equivalent.ours).parameters}
    taken = [rule for rule in equivalent.rules if isinstance(rule, Taken)]
    ours = Counter(name for rule in taken for name in rule.ours)
    for name in {*ours, *(need.name for need in equivalent.needs)}:
        assert name in specs, f"{name} is no parameter of {equivalent.ours}"
    assert set(ours.values()) == {1}, ours


@each_one
def test_what_is_not_taken_says_why(equivalent: Equivalent) -> None:
    """In a sentence without its end, and with what to do where something is lost."""
    for rule in equivalent.rules:
        if isinstance(rule, Refused):
            assert rule.why
            assert re.match("[A-Z].*[^.]$", rule.instead)
        if isinstance(rule, Unneeded):
            assert rule.why


@pytest.mark.parametrize("prefix", ["latest/flex/", "2025-01-21-00_RC00/flex/", "latest/", ""])
def test_a_template_is_found_by_its_object(prefix: str) -> None:
    """Whatever its version and folder, in any case of letters."""
    path = f"gs://dataflow-templates-europe-west1/{prefix}PubSub_to_BigQuery_Flex"
    assert find(named_by(path)).google == "PubSub_to_BigQuery_Flex"
    assert find(named_by("gs://b/t/cloud_pubsub_to_avro_flex.json")).ours == "pubsub_to_storage"
    assert find("Pubsub_To_Iceberg_Yaml").ours == "pubsub_to_lake"


def test_templates_without_equivalent_say_so() -> None:
    """With the reason, and what to do."""
    for absent in ABSENT:
        for name in absent.google:
            with pytest.raises(ConfigError, match="has no equivalent") as caught:
                find(name)
            assert absent.why in str(caught.value)
            assert absent.instead in str(caught.value)
    known = {each.google.lower() for each in EQUIVALENTS}
    assert not known & {name.lower() for absent in ABSENT for name in absent.google}


def test_a_misspelt_template_is_told() -> None:
    """With the name that was meant."""
    with pytest.raises(ConfigError, match="Did you mean PubSub_to_BigQuery_Flex"):
        find("PubSub_to_BigQery_Flex")
