"""JavaScript functions of payloads, in V8, as Google's templates call them: text to text.

V8 alone has no files, network or timers. Each instance of the step has an engine of its own.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from transforms import kinds
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.udf import Plan, Result, Source
from transforms.udf.calls import Failed
from transforms.udf.compiled import NAME
from transforms.udf.makers import of_text
from transforms.udf.making import result_of
from transforms.udf.sorting import sort
from transforms.udf.texts import KINDS, NO_TEXT, texts

__all__ = ["ENGINE_BYTES_MAX", "LOAD_S_MAX", "ScriptFunction", "check"]

ENGINE_BYTES_MAX = 512 * 2**20
"""Memory of one engine."""
LOAD_S_MAX = 10.0
"""For the file to be loaded."""
_FOREVER_S = 1e6
_BUDGET_SHARE = 0.25
"""Of the limit: after that time a call returns, so that a row that begins has the whole limit."""

_RUNNER = """
const __headrace = (() => {
  // Kept here, for a file may change JavaScript itself.
  const {parse, stringify} = JSON, now = Date.now, text = String;
  const whole = Function.prototype.call.bind(String.prototype.isWellFormed);
  const source = Function.prototype.call.bind(Function.prototype.toString);
  let given = [], done = [];
  const words = (error) => {
    try { return [text(error), text(error?.stack ?? "")]; } catch { return ["an error", ""]; }
  };
  const one = (call, payload) => {
    try {
      const made = call(payload);
      if (made === null || made === undefined) return null;
      if (typeof made !== "string") return {wrong: typeof made};
      return whole(made) ? made : {wrong: "text with half of a character"};
    } catch (error) {
      return {error: words(error)};
    }
  };
  return {
    give(payloads) { given = parse(payloads); },
    run(call, budget) {
      const end = now() + budget;
      done = [];
      for (let at = 0; at < given.length; at++) {
        done[at] = one(call, given[at]);
        if (now() > end) break;
      }
      return stringify(done);
    },
    done() { return stringify(done); },
    kind(find) {
      try {
        const found = find();
        if (typeof found !== "function") return "";
        return /^class\\b/.test(source(found)) ? "class" : found.constructor.name;
      } catch {
        return "";
      }
    },
  };
})();
"""


class _Outcome(msgspec.Struct):
    wrong: str = ""
    error: tuple[str, str] = ("", "")


_decode = msgspec.json.Decoder(list[str | _Outcome | None]).decode


class ScriptFunction:
    """A function of a payload in V8.

    Args:
        source: checked.
        plan: of the step.
        timeout_s: seconds for a row; None for any time.

    Raises:
        ConfigError: there is no V8 here, or the source can't be loaded.
    """

    def __init__(self, source: Source, plan: Plan, timeout_s: float | None) -> None:
        self._source, self._plan = source, plan
        self._timeout_s = timeout_s or _FOREVER_S
        self._open()

    def apply(self, batch: Batch) -> Result:
        """Call the function for each payload."""
        if not len(batch):
            return Result()
        valid, payloads = texts(batch)
        results: list[Any] = [NO_TEXT] * len(batch)
        for index, result in zip(valid, self._results(payloads), strict=True):
            results[index] = result
        found = sort(results, KINDS, self._plan.outputs)
        return result_of(batch, found, self._plan, of_text, of_text)

    def close(self) -> None:
        """Let go of the engine."""
        del self._give
        _discard(self._engine)

    def _open(self) -> None:
        source = self._source
        self._engine = _engine(source.path, source.function, source.text)
        self._give: Any = self._engine.eval("__headrace.give")

    def _results(self, payloads: Sequence[str]) -> list[Any]:
        results: list[Any] = []
        while len(results) < len(payloads):
            results += self._some(payloads[len(results) :])
        return results

    def _some(self, payloads: Sequence[str]) -> list[Any]:
        """Return the results of the first payloads, at least of one."""
        from py_mini_racer import (  # noqa: PLC0415 - 60 ms, seldom needed
            JSEvalException,
            JSOOMException,
            JSTimeoutException,
        )

        try:
            return self._called(payloads)
        except JSTimeoutException:
            slow = Failed(kinds.UDF_TIMEOUT, f"It took longer than {self._timeout_s:g} s")
            done = self._outcomes(self._engine.eval("__headrace.done()"))
            return [*done, slow][: len(payloads)]  # all may be done, and the answer too late
        except (JSEvalException, msgspec.MsgspecError) as error:
            # Too much memory, or a file that has changed JavaScript itself.
            self.close()
            self._open()
            if len(payloads) > 1:
                return self._some(payloads[: len(payloads) // 2])
            large = f"It took more memory than {ENGINE_BYTES_MAX / 2**20:.0f} MiB"
            other = f"The engine failed: {_first_line(str(error))}"
            text = large if isinstance(error, JSOOMException) else other
            return [Failed(kinds.UDF_ERROR, text)]

    def _called(self, payloads: Sequence[str]) -> list[Any]:
        budget_s = self._timeout_s * _BUDGET_SHARE
        self._give(msgspec.json.encode(payloads).decode())
        call = f"__headrace.run({self._source.function}, {budget_s * 1e3})"
        answer = self._engine.eval(call, timeout_sec=self._timeout_s + budget_s)
        return self._outcomes(answer) or [Failed(kinds.UDF_ERROR, "The engine gave no answer")]

    def _outcomes(self, answer: str) -> list[Any]:
        return [
            self._failed(each) if isinstance(each, _Outcome) else each for each in _decode(answer)
        ]

    def _failed(self, outcome: _Outcome) -> Failed:
        if outcome.wrong:
            text = f"The function returned {outcome.wrong}, and not text, null or undefined"
            return Failed(kinds.UDF_RESULT, text)
        text, stack = outcome.error
        return Failed(kinds.UDF_ERROR, f"{text}{_place(stack, self._source.path)}")


def check(path: str, function: str, text: str) -> None:
    """Raise an error unless the text can be loaded and has the function.

    Raises:
        ConfigError: as ``connectors.udf.load``.
    """
    _discard(_engine(path, function, text))


def _engine(path: str, function: str, text: str) -> Any:
    if importlib.util.find_spec("py_mini_racer") is None:
        raise ConfigError(
            NAME, path, "is JavaScript, which needs V8, and mini-racer is not installed",
            "Install it with pip install '.[udf]' in a clone of Headrace, or write Python",
        )  # fmt: skip
    from py_mini_racer import (  # noqa: PLC0415 - 60 ms, seldom needed
        JSEvalException,
        JSTimeoutException,
        MiniRacer,
    )

    engine = MiniRacer()
    try:
        engine.set_hard_memory_limit(ENGINE_BYTES_MAX)
        engine.eval(_RUNNER)
        _load(engine, path, function, text)
    except (JSEvalException, JSTimeoutException) as error:
        _discard(engine)
        late = isinstance(error, JSTimeoutException)
        why = f"it took longer than {LOAD_S_MAX:g} s" if late else _first_line(str(error))
        raise ConfigError(
            NAME, f"{path}:{function}", f"can't be loaded: {why}{_place(str(error), path)}",
            "Correct the file",
        ) from None  # fmt: skip
    except ConfigError:
        _discard(engine)
        raise
    return engine


def _load(engine: Any, path: str, function: str, text: str) -> None:
    engine.eval(f"{text}\n//# sourceURL={_base(path)}", timeout_sec=LOAD_S_MAX)
    what = engine.eval(f"__headrace.kind(() => {function})")
    if not what:
        raise ConfigError(
            NAME, f"{path}:{function}", f"the file has no function {function}",
            f"Write function {function}(payload) {{ ... }}",
        )  # fmt: skip
    if what != "Function":
        raise ConfigError(
            NAME, f"{path}:{function}", f"{function} is a {what}, which gives no text",
            "Write a plain function",
        )  # fmt: skip


def _place(stack: str, path: str) -> str:
    """Return `` (file.js:12)``, the innermost line of the file in a stack."""
    found = re.search(re.escape(_base(path)) + r":(\d+)", stack)
    return f" ({_base(path)}:{found[1]})" if found else ""


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "no reason is given")


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _discard(engine: Any) -> None:
    """Close an engine, not before what was stopped in it has told so."""
    from py_mini_racer import JSEvalException  # noqa: PLC0415 - 60 ms, seldom needed

    with suppress(JSEvalException):
        engine.eval("0")
    engine.close()
