"""What several templates of Google's have alike, and how it becomes ours. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pipelines.params import ConfigError
from templates.google.declared import Need, Parameter, Refused, Taken, Unneeded, Values, named

__all__ = [
    "INPUT",
    "JAVASCRIPT",
    "PYTHON",
    "STORAGE_WRITE",
    "TRIGGERING",
    "beside",
    "created",
    "dead_letters",
    "function",
    "input_of",
    "schema_of",
    "window",
    "write_disposition",
]

_WINDOW = re.compile(r"[1-9][0-9]*[smh]|\$\{env:.*\}")


def input_of(topic: str = "", subscription: str = "") -> Taken:
    """Return the rule of where messages come from; Google may have one of the two, or both."""
    both = {"subscription": subscription, "topic": topic}
    names = {ours: google for ours, google in both.items() if google}

    def convert(values: Values) -> dict[str, str]:
        given = {ours: values[google] for ours, google in names.items() if values[google]}
        return dict(list(given.items())[:1])

    about = "the subscription, where both are given" if len(names) > 1 else ""
    return Taken(named(*names.values()), tuple(names), convert, about, pairs=True)


INPUT = input_of("inputTopic", "inputSubscription")


def _semantics(values: Values) -> dict[str, str]:
    if not values.is_true("useStorageWriteApi"):
        return {}
    if values.is_true("useStorageWriteApiAtLeastOnce") or values.at_least_once:
        return {"semantics": "at_least_once"}
    streams = values.count("numStorageWriteApiStreams")
    return {"semantics": "exactly_once", **({"shards": streams} if streams else {})}


STORAGE_WRITE = Taken(
    named(
        useStorageWriteApi="false", useStorageWriteApiAtLeastOnce="false",
        numStorageWriteApiStreams="0",
    ),
    ("semantics", "shards"),
    _semantics,
    "exactly_once, with as many shards as streams, or at_least_once; ours always writes through "
    "the Storage Write API",
)  # fmt: skip
TRIGGERING = Unneeded(
    named("storageWriteApiTriggeringFrequencySec"),
    "rows appear as soon as they are committed, about two seconds later with exactly_once",
)


def function(path: str, name: str, minutes: str = "", caution: str = "") -> Taken:
    """Return the rule of a user function.

    Args:
        path: Google's parameter for the file.
        name: the one for the function.
        minutes: the one for how often the file is looked at, empty for none.
        caution: what must be known of it.
    """

    def convert(values: Values) -> dict[str, str]:
        if not values[path] and not values[name]:
            return {}
        for one, other in ((path, name), (name, path)):
            if not values[one]:
                raise ConfigError(
                    other, values[other], f"needs {one} too", f"Give both, or leave out {other}"
                )
        if re.search(r"[*?\[]|,", values[path]):
            raise ConfigError(
                path, values[path], "means several files, and ours takes one",
                "Put the functions into one file",
            )  # fmt: skip
        every = values.count(minutes) if minutes else ""
        found = {"udf": f"{values[path]}:{values[name]}"}
        return {**found, "udf_reload": f"{every}m"} if every else found

    google = (*named(path, name), *([Parameter(minutes, "0")] if minutes else []))
    ours = ("udf", "udf_reload") if minutes else ("udf",)
    about = "FILE:FUNCTION" + (", and minutes as a duration" if minutes else "")
    return Taken(google, ours, convert, about, caution)


JAVASCRIPT = function(
    "javascriptTextTransformGcsPath",
    "javascriptTextTransformFunctionName",
    "javascriptTextTransformReloadIntervalMinutes",
)
PYTHON = function(
    "pythonExternalTextTransformGcsPath",
    "pythonExternalTextTransformFunctionName",
    caution="its first parameter must be annotated with str, as in f(text: str): Google's "
    "functions take the text and not the row",
)


def created(name: str = "createDisposition") -> Taken:
    """Return the rule of a table that does not exist."""
    answers = {"CREATE_IF_NEEDED": "create", "CREATE_NEVER": "refuse"}

    def convert(values: Values) -> dict[str, str]:
        if values[name] not in answers:
            raise ConfigError(
                name, values[name], "must be CREATE_IF_NEEDED or CREATE_NEVER", "Write one of them"
            )
        return {"if_missing": answers[values[name]]}

    default = (Parameter(name, "CREATE_IF_NEEDED"),)
    return Taken(default, ("if_missing",), convert, "create or refuse")


def write_disposition(name: str = "writeDisposition") -> Refused:
    """Return the rule of a table that has rows."""
    return Refused(
        (Parameter(name, "WRITE_APPEND"),), "rows are only appended",
        "Empty the table first, or check that it is empty",
    )  # fmt: skip


def window(values: Values) -> dict[str, str]:
    """Return the windows of files."""
    text = values["windowDuration"]
    if not _WINDOW.fullmatch(text):
        raise ConfigError(
            "windowDuration", text, "must be a number with s, m or h", "Write for example 5m"
        )
    return {"window": f"fixed:{text}"}


def schema_of(table: str) -> Need:
    """Return the need of a schema that Google's template reads from the table."""

    def why(values: Values) -> str:
        name = values[table] or "PROJECT:DATASET.TABLE"
        shown = re.sub(r"^([^.:{}]+)\.([^.]+)\.", r"\1:\2.", name)
        return (
            "the columns, which Google's template reads from the table. Write them to a file: "
            f"bq show --schema --format=prettyjson '{shown}' > schema.json, for Dataflow on Cloud "
            "Storage. Fields of a payload that it lacks are ignored; Google's template rejects the "
            "row"
        )

    return Need("schema", why, example="schema.json")


def dead_letters(
    why: str, text: Callable[[Mapping[str, str]], str | None] = lambda _: None, shown: str = ""
) -> Need:
    """Return the need of a place for what is rejected."""
    return Need("dead_letter", why, text, "gs://my-bucket/dead_letters", shown)


def beside(name: str) -> Callable[[Mapping[str, str]], str | None]:
    """Return what finds a folder beside another of ours; there is none beside a bucket."""

    def text(found: Mapping[str, str]) -> str | None:
        folder = found.get(name, "")
        in_bucket = folder.removeprefix("gs://")
        has_room = folder and (folder == in_bucket or "/" in in_bucket) and folder != "."
        return f"{folder}_dead_letters" if has_room else None

    return text
