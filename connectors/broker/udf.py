"""Single message transforms: JavaScript functions in an embedded V8, compiled once.

    f(message {data, attributes}, metadata {message_id, publish_time, ordering_key})

returns the new message, or null to drop it. Data is text; without ``attributes`` in what is
returned they stay, empty ones remove all
(https://cloud.google.com/pubsub/docs/smts/udfs-overview). The functions see nothing of the
machine: V8 alone has no files, network or timers.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from connectors.broker import limits
from connectors.broker.errors import InvalidArgument, Unsupported
from connectors.broker.settings import Transform

__all__ = ["Fault", "Message", "Metadata", "Outcome", "Udfs"]

_RUNNER = """
function __run(text) {
  return JSON.stringify(JSON.parse(text).map(([message, metadata]) => {
    try {
      for (const step of __steps) {
        const result = step(message, metadata);
        if (result === null) return {};
        if (typeof result !== "object" || typeof result.data !== "string")
          throw new TypeError("it must return null or an object with data, a string");
        message = {data: result.data, attributes: result.attributes ?? message.attributes};
        for (const value of Object.values(message.attributes))
          if (typeof value !== "string") throw new TypeError("attributes must be strings");
      }
      return {message};
    } catch (error) {
      return {fault: String(error)};
    }
  }));
}
"""


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a function may know of a message and not change; empty before it is published."""

    message_id: str = ""
    publish_time: str = ""
    """As ``YYYY-MM-DDTHH:MM:SSZ``."""
    ordering_key: str = ""


class Message(msgspec.Struct, frozen=True):
    """What a function may change."""

    data: str
    attributes: dict[str, str]


class Fault(NamedTuple):
    """Why a message could not be transformed."""

    why: str


class Overrun(Fault):
    """It took too much time or memory; what came behind it was not run."""


Outcome = Message | Fault | None
"""The new message, why there is none, or None where it is dropped."""


class _Result(msgspec.Struct):
    message: Message | None = None
    fault: str = ""


_decode = msgspec.json.Decoder(list[_Result]).decode


class Udfs:
    """The transforms of a topic or of a subscription, in their order.

    Args:
        transforms: those that are disabled are checked and not run.

    Raises:
        InvalidArgument: one does not compile, has no such function, or is too large.
        Unsupported: the engine is not installed.
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        if importlib.util.find_spec("py_mini_racer") is None:
            raise Unsupported(
                "JavaScript transforms need an engine: pip install '.[local]' in a clone of"
                " Headrace."
            )
        self._transforms = _checked(transforms)
        self._stopped = False
        self._context = self._compiled()

    def run(self, messages: Sequence[tuple[Message, Metadata]]) -> list[Outcome]:
        """Return what becomes of each message; call it where waiting for it harms nobody.

        A message may take ``limits.UDF_S_MAX``. When one has taken longer, those behind it are
        not run any more. Whatever the functions do, it is a fault and no error of ours.
        """
        outcomes = self._run(messages)
        if not isinstance(outcomes, Fault):
            return outcomes
        if len(messages) == 1:
            return [outcomes]
        each_alone: list[Outcome] = []
        closed: list[Outcome] = [Overrun("the broker is being closed")]
        for message in messages:
            each_alone += closed if self._stopped else self.run([message])
            if isinstance(each_alone[-1], Overrun):
                break
        return each_alone + [each_alone[-1]] * (len(messages) - len(each_alone))

    def stop(self) -> None:
        """Have ``run`` end after the message that it is at; any thread may call this."""
        self._stopped = True

    def close(self) -> None:
        """Let go of the engine."""
        _discard(self._context)

    def _run(self, messages: Sequence[tuple[Message, Metadata]]) -> list[Outcome] | Fault:
        """Return what becomes of each message, or why nothing is known of any of them."""
        from py_mini_racer import (  # noqa: PLC0415 - 60 ms, seldom needed
            JSEvalException,
            JSOOMException,
            JSTimeoutException,
        )

        request = msgspec.json.encode(messages).decode()
        try:
            answer = self._context.call("__run", request, timeout_sec=limits.UDF_S_MAX)
            results = _decode(answer)
        except JSTimeoutException:
            return Overrun(f"it took longer than {limits.UDF_S_MAX} s")
        except JSOOMException:
            _discard(self._context)
            self._context = self._compiled()
            return Overrun(f"it took more than {limits.UDF_BYTES_MAX} bytes")
        except (JSEvalException, TypeError, ValueError) as error:
            # Half of a character, an error that is no text, a change to JavaScript itself.
            return Fault(f"what it returns is no message: {error}")
        if len(results) != len(messages):
            return Fault(f"it returns {len(results)} messages for {len(messages)}")
        return [Fault(each.fault) if each.fault else each.message for each in results]

    def _compiled(self) -> Any:
        from py_mini_racer import MiniRacer  # noqa: PLC0415 - 60 ms, seldom needed

        context = MiniRacer()
        context.set_hard_memory_limit(limits.UDF_BYTES_MAX)
        try:
            context.eval("const __steps = [];" + _RUNNER)
            for each in self._transforms:
                _compile(context, each)
        except InvalidArgument:
            _discard(context)
            raise
        return context


def _discard(context: Any) -> None:
    """Close an engine, not before what was stopped in it has told so."""
    from py_mini_racer import JSEvalException  # noqa: PLC0415 - 60 ms, seldom needed

    with suppress(JSEvalException):
        context.eval("0")
    context.close()


def _checked(transforms: Sequence[Transform]) -> list[Transform]:
    names = [each.function_name for each in transforms]
    if len(names) > limits.TRANSFORMS_MAX:
        raise InvalidArgument(
            "message_transforms", f"{len(names)} given", f"at most {limits.TRANSFORMS_MAX}"
        )
    for each in transforms:
        size = len(each.code.encode())
        if size > limits.UDF_CODE_BYTES_MAX:
            raise InvalidArgument(
                "javascript_udf.code", f"{size} bytes", f"at most {limits.UDF_CODE_BYTES_MAX} bytes"
            )
        if not each.function_name.isidentifier() or names.count(each.function_name) > 1:
            raise InvalidArgument(
                "javascript_udf.function_name", repr(each.function_name),
                "must be the name of a function, and of no other transform of the resource",
            )  # fmt: skip
    return list(transforms)


def _compile(context: Any, transform: Transform) -> None:
    from py_mini_racer import JSEvalException, JSTimeoutException  # noqa: PLC0415 - 60 ms, seldom needed

    name, enabled = transform.function_name, "false" if transform.disabled else "true"
    found = f"typeof {name} === 'function' ? {name} : null"
    scope = f"(() => {{{transform.code}\n;return {found};}})()"  # functions share no names
    keep = f"if ({enabled} && found !== null) __steps.push(found);"
    code = f"{{ const found = {scope}; {keep} found !== null }}"
    try:
        exists = context.eval(code, timeout_sec=limits.UDF_S_MAX)
    except (JSEvalException, JSTimeoutException) as error:
        why = f"does not compile: {str(error).strip()}"
        raise InvalidArgument("javascript_udf.code", f"of {name}", why) from None
    if not exists:
        raise InvalidArgument("javascript_udf.code", "as given", f"has no function {name}")
