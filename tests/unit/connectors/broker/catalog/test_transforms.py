"""Transforms: what may be asked for."""

from typing import Any

import pytest

from connectors.broker import limits, schema
from connectors.broker.catalog import transforms
from connectors.broker.errors import InvalidArgument, Unsupported
from connectors.broker.settings import Transform

CODE = "function f(message, metadata) { return message; }"


def read(*given: dict[str, Any]) -> Any:
    """Return the settings of a topic's transforms."""
    return transforms.read(schema.message("Topic")(message_transforms=given).message_transforms)


def function(name: str = "f", code: str = CODE) -> dict[str, Any]:
    """Return a transform."""
    return {"javascript_udf": {"function_name": name, "code": code}}


def test_settings_are_shown_as_they_were_given() -> None:
    """In order, with what switches one off."""
    shown = schema.message("Topic")()
    found = [Transform("f", CODE), Transform("g", CODE, disabled=True)]
    transforms.show(shown.message_transforms, found)
    wanted = [function(), {**function("g"), "disabled": True}]
    assert shown == schema.message("Topic")(message_transforms=wanted)


@pytest.mark.parametrize(("given", "sentence"), [
    ([{}], "must say what it does"),
    ([function("")], "function_name .* must name a function"),
    ([function(code="")], r"code \(0 bytes\): must be 1 to 20000 bytes"),
    ([function(code="é" * 10_001)], r"code \(20002 bytes\)"),
    ([function(), function("g"), function()], r"function_name \('f'\): must be unique"),
    ([function(f"f{number}") for number in range(limits.TRANSFORMS_MAX + 1)],
     "6 given.* at most 5"),
])  # fmt: skip
def test_bad_transforms_are_refused(given: list[dict[str, Any]], sentence: str) -> None:
    """Whether or not there is an engine to run them."""
    with pytest.raises(InvalidArgument, match=sentence):
        read(*given)


@pytest.mark.parametrize(("given", "sentence"), [
    ({"ai_inference": {"endpoint": "e"}}, "A ai_inference transform is not supported: .*Vertex"),
    ({"compression": {"compression_mode": 1}}, "A compression transform is not supported"),
])  # fmt: skip
def test_transforms_that_can_not_act_are_refused(given: dict[str, Any], sentence: str) -> None:
    """With the reason."""
    with pytest.raises(Unsupported, match=sentence):
        read(given)


def test_no_transforms_are_fine() -> None:
    """It is what most topics have."""
    assert read() == ()
