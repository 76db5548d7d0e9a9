"""Protocol buffer schemas: what messages are checked against, and what may follow what."""

from __future__ import annotations

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from connectors.broker.schemas.definition import DEPTH_MAX, JSON, Definition, Mismatch

__all__ = ["Proto", "only_message"]


def only_message(files: bytes) -> str:
    """Return the full name of the one top-level type of a compiled definition.

    Args:
        files: a serialized ``FileDescriptorSet`` of one file.

    Raises:
        Mismatch: it has imports, or other than one message at the top.
    """
    [file] = FileDescriptorSet.FromString(files).file
    if file.dependency:
        raise Mismatch(f"it imports {', '.join(file.dependency)}, and imports are not supported")
    if len(file.message_type) != 1 or file.enum_type:
        found = [each.name for each in (*file.message_type, *file.enum_type)]
        raise Mismatch(
            f"it has {len(found)} types at the top ({', '.join(found)}), and must have one message"
        )
    return ".".join(filter(None, (file.package, file.message_type[0].name)))


class Proto:
    """A protocol buffer schema.

    Args:
        files: a serialized ``FileDescriptorSet``.
        root: full name of the type of the messages.

    Raises:
        Mismatch: the files don't make sense together, or have no such type.
    """

    kind = "PROTO"

    def __init__(self, files: bytes, root: str) -> None:
        pool = DescriptorPool()
        try:
            for file in FileDescriptorSet.FromString(files).file:
                pool.Add(file)
            self._descriptor = pool.FindMessageTypeByName(root)
        except (DecodeError, TypeError, ValueError) as error:
            raise Mismatch(f"it is not a set of file descriptors: {error}") from None
        except KeyError:
            raise Mismatch(f"it has no message {root!r}") from None
        self._class = message_factory.GetMessageClass(self._descriptor)

    def check(self, encoding: str, data: bytes) -> None:
        """Refuse data that is not of this schema (``Definition.check``)."""
        try:
            message = self._class()
            if encoding == JSON:
                _check_is_object(data)
                json_format.Parse(data, message, max_recursion_depth=DEPTH_MAX)
            else:
                message.ParseFromString(data)
        except (DecodeError, json_format.ParseError, RecursionError, ValueError) as error:
            raise Mismatch(f"it is not a {self._descriptor.full_name}: {error}") from None
        missing = message.FindInitializationErrors()
        if missing:
            raise Mismatch(f"required fields are missing: {', '.join(missing)}")

    def check_follows(self, earlier: Definition) -> None:
        """Refuse a revision that does more than add or remove optional fields.

        Raises:
            Mismatch: naming the field.
        """
        if not isinstance(earlier, Proto):
            raise Mismatch("the type of a schema can't change")
        _compare(_shape(earlier), _shape(self))


def _check_is_object(data: bytes) -> None:
    """Refuse other JSON, of which the parser lets an empty array pass."""
    if not data.lstrip().startswith(b"{"):
        raise json_format.ParseError("a JSON object is expected")


def _shape(definition: Proto) -> DescriptorProto:
    shape = DescriptorProto()
    definition._descriptor.CopyToProto(shape)
    return shape


def _compare(before: DescriptorProto, after: DescriptorProto) -> None:
    old = {field.number: field for field in before.field}
    new = {field.number: field for field in after.field}
    for number in old.keys() | new.keys():
        was, is_ = old.get(number), new.get(number)
        if was is None or is_ is None:
            field = was or is_
            if field is not None and field.label == FieldDescriptorProto.LABEL_REQUIRED:
                raise Mismatch(f"field {field.name} is required: it can't be added or removed")
        elif _essence(was) != _essence(is_):
            raise Mismatch(f"field {was.name} (number {number}) was changed")
    nested = {each.name: each for each in after.nested_type}
    for each in before.nested_type:
        if each.name in nested:
            _compare(each, nested[each.name])


def _essence(field: FieldDescriptorProto) -> tuple[str, int, int, str]:
    return field.name, field.type, field.label, field.type_name
