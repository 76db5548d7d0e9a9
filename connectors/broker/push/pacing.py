"""How fast an endpoint is pushed to: a window of requests, and a pause after failures.

Both follow what the service documents (https://cloud.google.com/pubsub/docs/push): few requests
at first, more on success, less on failure; after a failure nothing for 100 ms, growing to 60 s.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.broker import limits

__all__ = ["Pacing"]


@dataclass
class Pacing:
    """The state of one endpoint; ``now_s`` is any clock that never runs backwards."""

    window: float = limits.PUSH_WINDOW_MIN
    """Requests that may be open at a time."""
    resume_s: float = 0.0
    """Nothing new is sent before this."""
    _failures: int = 0

    def succeeded(self) -> None:
        """Take notice of a message that was acknowledged: like TCP's slow start, one more."""
        self._failures = 0
        self.window = min(self.window + 1, limits.PUSH_WINDOW_MAX)

    def failed(self, now_s: float) -> None:
        """Take notice of a message that was not.

        Failures of requests that were sent beside each other count once: those that come in while
        it pauses tell nothing new.
        """
        if now_s < self.resume_s:
            return
        self.window = max(self.window / 2, 1)
        pause_s = min(limits.PUSH_PAUSE_S_MIN * 2**self._failures, limits.PUSH_PAUSE_S_MAX)
        self._failures += 1
        self.resume_s = now_s + pause_s

    def room(self, open_requests: int) -> int:
        """Return how many requests more may be sent."""
        return max(int(self.window) - open_requests, 0)
