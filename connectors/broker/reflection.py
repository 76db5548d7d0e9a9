"""The reflection service: what methods and messages there are, for tools such as grpcurl.

Source: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md. The versions v1 and
v1alpha differ in their names only. Extensions, which proto3 does not have, are never found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from connectors.broker import schema
from connectors.broker.health import SERVICES

__all__ = ["Reflection"]

_VERSIONS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")


class Reflection:
    """Answers from the definitions that the broker speaks."""

    def handlers(self) -> dict[str, Any]:
        """Return the handlers of gRPC by the methods' full names."""
        return {
            f"/{version}.ServerReflection/ServerReflectionInfo": _handler(version)
            for version in _VERSIONS
        }


def _handler(version: str) -> Any:
    request = schema.message(f"{version}.ServerReflectionRequest")
    response = schema.message(f"{version}.ServerReflectionResponse")

    async def answer(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for each in requests:
            yield _answer(each, response(valid_host=each.host, original_request=each))

    return grpc.stream_stream_rpc_method_handler(
        answer,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )


def _answer(request: Any, response: Any) -> Any:
    """Fill in the response to a request."""
    try:
        match request.WhichOneof("message_request"):
            case "list_services":
                response.list_services_response.SetInParent()
                for name in (*SERVICES, *(f"{each}.ServerReflection" for each in _VERSIONS)):
                    response.list_services_response.service.add(name=name)
            case "file_by_filename":
                file = schema.POOL.FindFileByName(request.file_by_filename)
                _add_files(response, file)
            case "file_containing_symbol":
                file = schema.POOL.FindFileContainingSymbol(request.file_containing_symbol)
                _add_files(response, file)
            case "file_containing_extension" | "all_extension_numbers_of_type":
                _fail(response, grpc.StatusCode.NOT_FOUND, "there are no extensions")
            case _:
                _fail(response, grpc.StatusCode.INVALID_ARGUMENT, "nothing is asked for")
    except KeyError as error:
        _fail(response, grpc.StatusCode.NOT_FOUND, str(error.args[0]))
    return response


def _add_files(response: Any, file: Any) -> None:
    """Add a file and all that it imports, each once."""
    found: dict[str, bytes] = {}
    _collect(file, found)
    response.file_descriptor_response.file_descriptor_proto.extend(found.values())


def _collect(file: Any, found: dict[str, bytes]) -> None:
    if file.name not in found:
        found[file.name] = file.serialized_pb
        for each in file.dependencies:
            _collect(each, found)


def _fail(response: Any, code: grpc.StatusCode, text: str) -> None:
    response.error_response.error_code = code.value[0]
    response.error_response.error_message = text
