"""An upgrade of Beam shows here what has moved: each internal name, and how it is used.

What is checked of the internals follows from the source of the runner, so that nothing can be
forgotten: where they are imported, which attributes are taken of them, with which arguments they
are called, and what is overridden. What a value of theirs has is a list here, for it can't be read
from the source.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from apache_beam.transforms import trigger, userstate
from google.protobuf.message import Message

from runners.local import internals

FOLDER = Path(internals.__file__).parent
SOURCES = sorted(path for path in FOLDER.glob("*.py") if path.name != "internals.py")
each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)

# What Beam documents for users, and its timestamps: what pipelines work with is said to be
# internal there, and is on every page of its documentation.
PUBLIC = (
    "apache_beam",
    "apache_beam.coders",
    "apache_beam.coders.coders",
    "apache_beam.io.gcp.pubsub",
    "apache_beam.options",
    "apache_beam.options.pipeline_options",
    "apache_beam.options.value_provider",
    "apache_beam.pipeline",
    "apache_beam.runners.runner",
    "apache_beam.transforms.core",
    "apache_beam.transforms.trigger",
    "apache_beam.transforms.userstate",
    "apache_beam.transforms.window",
    "apache_beam.utils.timestamp",
    "apache_beam.utils.windowed_value",
)


def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text())


def beams_names(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the module and name of all that a file imports from Beam."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "apache_beam":
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("apache_beam")]
            yield from (name.rpartition(".")[::2] for name in names if "." in name)


def is_public(module: str, name: str) -> bool:
    """Tell whether Beam lets its users have a name."""
    if module not in PUBLIC or name.startswith("_"):
        return False
    holder = importlib.import_module(module)
    found = getattr(holder, name, None)
    if isinstance(found, ModuleType):
        return found.__name__ in PUBLIC
    in_list = name in getattr(holder, "__all__", [name])
    return in_list and "for internal use" not in (inspect.getdoc(found) or "").lower()


@each_source
def test_internals_come_from_one_module(path: Path) -> None:
    """Other modules of the runner import nothing of Beam but what is public."""
    assert [name for name in beams_names(path) if not is_public(*name)] == []


def uses(path: Path) -> dict[str, Any]:
    """Return the internals that a file imports, by the name that they have there."""
    return {
        alias.asname or alias.name: getattr(internals, alias.name)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.module == internals.__name__
        for alias in node.names
    }


def test_every_name_is_used() -> None:
    """What nobody needs any more is not pinned."""
    used = {
        alias.name
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.module == internals.__name__
        for alias in node.names
    }
    assert used == set(internals.__all__)


class Missing:
    """What is found where an attribute has moved away."""


def resolve(node: ast.expr, names: dict[str, Any]) -> Any:
    """Return what a dotted name means, Missing if it does not exist, None if it is something else.

    Attributes of values are not looked at: only a module's, and a class's.
    """
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if not isinstance(node, ast.Attribute):
        return None
    holder = resolve(node.value, names)
    if isinstance(holder, ModuleType | type):
        return getattr(holder, node.attr, Missing)
    return holder if holder is Missing else None


def own_names(path: Path) -> dict[str, Any]:
    """Return the internals of a file whose name means nothing else anywhere in it."""
    module = tree(path)
    bound = {node.id for node in ast.walk(module)
             if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}  # fmt: skip
    bound |= {node.arg for node in ast.walk(module) if isinstance(node, ast.arg)}
    return {name: found for name, found in uses(path).items() if name not in bound}


@each_source
def test_attributes_exist(path: Path) -> None:
    """What is taken of a module or class of Beam's is there."""
    names = own_names(path)
    assert [
        ast.unparse(node)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and resolve(node, names) is Missing
    ] == []


def signature(function: Any) -> inspect.Signature | None:
    """Return a signature, None where compiled code tells none."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def fits(call: ast.Call, function: Any) -> bool:
    """Tell whether arguments fit; a call that spreads a list can't be judged."""
    spread = any(isinstance(argument, ast.Starred) for argument in call.args)
    if spread or any(keyword.arg is None for keyword in call.keywords):
        return True
    if isinstance(function, type) and issubclass(function, Message):
        return {keyword.arg for keyword in call.keywords} <= set(function.DESCRIPTOR.fields_by_name)
    told = signature(function)
    if told is None:
        return True
    try:
        told.bind(*call.args, **{str(keyword.arg): None for keyword in call.keywords})
    except TypeError:
        return False
    return True


@each_source
def test_calls_fit_the_signatures(path: Path) -> None:
    """Functions and classes of Beam's take the arguments that they are given."""
    names = own_names(path)
    called = [
        (node, resolve(node.func, names))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
    ]
    assert [
        ast.unparse(call)
        for call, function in called
        if callable(function) and function is not Missing and not fits(call, function)
    ] == []


def overrides(path: Path) -> Iterator[tuple[type, type]]:
    """Yield the classes of a file that are made of internals, each with the internal one."""
    names = uses(path)
    module = importlib.import_module(f"runners.local.{path.stem}")
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef) and hasattr(module, node.name):
            for base in node.bases:
                found = resolve(base, names)
                if isinstance(found, type):
                    yield getattr(module, node.name), found


def positional(function: Any) -> list[str]:
    """Return the names of the arguments that may be given by position."""
    told = signature(function)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in told.parameters.values() if each.kind in kinds] if told else []


@each_source
def test_overrides_take_what_beam_gives(path: Path) -> None:
    """A class leaves nothing abstract, and its methods have at least the arguments of Beam's."""
    for own, base in overrides(path):
        assert not inspect.isabstract(own), own
        for name, method in vars(own).items():
            theirs = getattr(base, name, None)
            if name != "__init__" and inspect.isfunction(method) and inspect.isfunction(theirs):
                assert len(positional(method)) >= len(positional(theirs)), f"{own}.{name}"


def attributes(cls: type) -> set[str]:
    """Return what instances have: of the class, and what it and its bases set at first."""
    set_first = {
        name
        for each in cls.__mro__
        for name in getattr(getattr(each.__init__, "__code__", None), "co_names", ())  # type: ignore[misc]
    }
    return set_first | set(dir(cls))


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (internals.translations.Stage, "name transforms environment"),
        (internals.translations.TransformContext, "components length_prefix_pcoll_coders"),
        (internals.pipeline_context.PipelineContext, "coders windowing_strategies"),
        (
            internals.EmbeddedWorkerHandler,
            "data_plane_handler data_conn control_conn bundle_processor_cache",
        ),
        (internals.GrpcWorkerHandler, "control_conn data_conn"),
        (internals.sdk_worker.SdkHarness, "_bundle_processor_cache run"),
        (
            internals.sdk_worker.BundleProcessorCache,
            "data_sampler data_channel_factory state_handler_factory discard",
        ),
        (internals.AppliedPTransform, "transform"),
        (
            userstate.Timer,
            "user_key dynamic_timer_tag windows clear_bit fire_timestamp hold_timestamp paneinfo",
        ),
        (trigger.AfterProcessingTime, "delay"),
        (trigger.AfterCount, "count"),
        (trigger.AfterWatermark, "early late"),
        (trigger.Repeatedly, "underlying"),
        (trigger.AfterEach, "triggers"),
        (trigger.OrFinally, "triggers"),
    ],
)
def test_values_have_the_attributes(cls: type, names: str) -> None:
    """What is taken of values, some of it from deep inside, is still there."""
    assert set(names.split()) - attributes(cls) == set()


FN_API = internals.beam_fn_api_pb2


@pytest.mark.parametrize(
    ("message", "names"),
    [
        (FN_API.ProcessBundleResponse, "residual_roots requires_finalization monitoring_data"),
        (FN_API.ProcessBundleSplitResponse, "residual_roots channel_splits"),
        (FN_API.ProcessBundleSplitResponse.ChannelSplit, "transform_id first_residual_element"),
        (FN_API.DelayedBundleApplication, "application requested_time_delay"),
        (FN_API.BundleApplication, "transform_id input_id element output_watermarks"),
        (internals.beam_runner_api_pb2.TestStreamPayload, "coder_id events endpoint"),
        (
            internals.beam_runner_api_pb2.TestStreamPayload.Event,
            "watermark_event processing_time_event element_event",
        ),
        (internals.beam_runner_api_pb2.Trigger.AfterProcessingTime, "timestamp_transforms"),
    ],
)
def test_messages_have_the_fields(message: Any, names: str) -> None:
    """The protocol's messages have the fields on which the runner relies."""
    assert set(names.split()) - set(message.DESCRIPTOR.fields_by_name) == set()
