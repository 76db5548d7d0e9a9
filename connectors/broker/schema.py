"""The protocol buffers that the broker speaks, made from ``definitions.py``.

They are stated here, and checked by a test against the definitions that Google ships, because
importing those takes 0.6 s: they come with clients, authentication and HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf import (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
)
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

from connectors.broker import definitions

__all__ = ["ACTIVE", "POOL", "enum_name", "enum_number", "message", "service"]

ACTIVE = 1
"""The state of every topic and subscription, as the enums of both number it."""

_KNOWN_FILES = tuple(
    module.DESCRIPTOR
    for module in (any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2)
)
_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
}


@cache
def message(name: str) -> Any:
    """Return the class of a message, such as ``PublishRequest`` or ``google.iam.v1.Policy``.

    Names without a package, also of nested messages such as ``PushConfig.OidcToken``, are of
    ``google.pubsub.v1``.
    """
    full_name = name if name.startswith(("google.", "grpc.")) else f"google.pubsub.v1.{name}"
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))


def service(name: str) -> Any:
    """Return the descriptor of a service, such as ``google.pubsub.v1.Publisher``."""
    return POOL.FindServiceByName(name)


def enum_name(enum: str, number: int) -> str:
    """Return the name of a value of a ``google.pubsub.v1`` enum; of an unknown one its number."""
    value = POOL.FindEnumTypeByName(f"google.pubsub.v1.{enum}").values_by_number.get(number)
    return value.name if value else str(number)


def enum_number(enum: str, name: str) -> int:
    """Return the number of a value of a ``google.pubsub.v1`` enum."""
    return int(POOL.FindEnumTypeByName(f"google.pubsub.v1.{enum}").values_by_name[name].number)


class _File:
    """One file of definitions on its way to a descriptor.

    Args:
        name: of the file.
        package: of all that it defines.
        text: definitions.
        earlier: files that it may use.
        enums: full names of the enums of all files, added to.
    """

    def __init__(
        self, name: str, package: str, text: str, earlier: list[str], enums: set[str]
    ) -> None:
        self.proto = FileDescriptorProto(name=name, package=package, syntax="proto3")
        self.proto.dependency.extend(earlier)
        self._package, self._enums = package, enums
        self._messages: dict[str, DescriptorProto] = {}
        entries = list(_entries(text))
        for kind, title, items in entries:  # first, because a field's type may come later
            if kind == "enum":
                self._add_enum(title, " ".join(items).split())
        for kind, title, items in entries:
            if kind == "service":
                self._add_service(title, items)
            elif kind == "message":
                self._add_message(title, items)

    def _add_message(self, name: str, fields: list[str]) -> None:
        definition = self._message(name)
        for number, field, kind, *rest in map(str.split, fields):
            self._add_field(definition, name, (int(number), field, kind))
            if rest:
                _set_presence(definition, *rest)

    def _message(self, name: str) -> DescriptorProto:
        """Return a message, made where it belongs if it is new."""
        if name not in self._messages:
            outer, _, inner = name.rpartition(".")
            siblings = self._message(outer).nested_type if outer else self.proto.message_type
            self._messages[name] = siblings.add(name=inner)
        return self._messages[name]

    def _add_field(
        self, definition: DescriptorProto, owner: str, facts: tuple[int, str, str]
    ) -> None:
        number, name, kind = facts
        field = definition.field.add(name=name, number=number)
        repeated = kind.endswith("*") or kind == "map"
        field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        kind = kind.rstrip("*")
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
            return
        if kind == "map":
            kind = "." + _add_entry(definition, name).name
        full_name = self._full_name(owner + kind if kind.startswith(".") else kind)
        field.type = field.TYPE_ENUM if full_name in self._enums else field.TYPE_MESSAGE
        field.type_name = f".{full_name}"

    def _full_name(self, name: str) -> str:
        known = definitions.KNOWN.get(name, name)
        return known if known.startswith("google.") else f"{self._package}.{name}"

    def _add_enum(self, name: str, values: list[str]) -> None:
        outer, _, inner = name.rpartition(".")
        siblings = self._message(outer).enum_type if outer else self.proto.enum_type
        enum = siblings.add(name=inner)
        for counted, text in enumerate(values):
            value, _, number = text.partition("=")
            enum.value.add(name=value, number=int(number) if number else counted)
        self._enums.add(self._full_name(name))

    def _add_service(self, name: str, methods: list[str]) -> None:
        definition = self.proto.service.add(name=name)
        for method, request, response in map(str.split, methods):
            definition.method.add(
                name=method,
                input_type="." + self._full_name(request.rstrip("*")),
                output_type="." + self._full_name(response.rstrip("*")),
                client_streaming=request.endswith("*"),
                server_streaming=response.endswith("*"),
            )


def _entries(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield kind, name and items of each definition."""
    for line in text.replace("\n  ", " ").strip().splitlines():
        title, _, items = line.partition(":")
        *kind, name = title.split()
        yield kind[0] if kind else "message", name, items.split(", ") if items else []


def _add_entry(definition: DescriptorProto, name: str) -> DescriptorProto:
    entry = definition.nested_type.add(name=f"{name.capitalize()}Entry")
    entry.options.map_entry = True
    for number, part in enumerate(("key", "value"), 1):
        field = entry.field.add(name=part, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        field.type = field.TYPE_STRING
    return entry


def _set_presence(definition: DescriptorProto, mark: str) -> None:
    """Put the last field into its oneof; explicit presence is a oneof of its own."""
    field = definition.field[-1]
    field.proto3_optional = mark == "?"
    name = f"_{field.name}" if field.proto3_optional else mark[1:]
    known = [each.name for each in definition.oneof_decl]
    if name not in known:
        definition.oneof_decl.add(name=name)
        known.append(name)
    field.oneof_index = known.index(name)


def _pool() -> DescriptorPool:
    pool = DescriptorPool()  # not the default one, where Google's definitions may be
    for known in _KNOWN_FILES:
        pool.AddSerializedFile(known.serialized_pb)
    earlier = [known.name for known in _KNOWN_FILES]
    enums: set[str] = set()
    for name, package, text in definitions.FILES:
        pool.AddSerializedFile(
            _File(name, package, text, list(earlier), enums).proto.SerializeToString()
        )
        earlier.append(name)
    return pool


POOL = _pool()
