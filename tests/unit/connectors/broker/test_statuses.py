"""What a client is told when a call fails."""

from base64 import b64encode
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from connectors.broker import errors
from connectors.broker.statuses import details_of, status_of

REFUSALS = [
    each for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, errors.Refusal) and each is not errors.Refusal
]  # fmt: skip


@pytest.mark.parametrize("kind", REFUSALS)
def test_every_refusal_has_a_status(kind: type[errors.Refusal]) -> None:
    """Also one that is a kind of another; it is never the broker's fault."""
    error = kind.__new__(kind)
    code, text = status_of(error)
    assert code not in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    assert text == str(error)


def test_anything_else_is_internal_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the broker is told as one, and can be found in the log."""
    assert status_of(ZeroDivisionError("x"))[0] == grpc.StatusCode.INTERNAL
    assert "ZeroDivisionError" in caplog.text
    assert details_of(ZeroDivisionError("x")) == ()


def test_details_are_readable_by_googles_clients() -> None:
    """Status, text and the reason with its facts, in the trailing metadata."""
    error = errors.InvalidArgument("ack_ids", "x", "is stale")
    assert details_of(error) == ()
    error.info = errors.ErrorInfo("EXACTLY_ONCE_ACKID_FAILURE", {"x": "PERMANENT_FAILURE"})
    ((key, value),) = details_of(error)
    status = status_pb2.Status.FromString(value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (key, status.code, status.message) == ("grpc-status-details-bin", 3, str(error))
    assert (info.reason, info.domain) == ("EXACTLY_ONCE_ACKID_FAILURE", "pubsub.googleapis.com")
    assert dict(info.metadata) == {"x": "PERMANENT_FAILURE"}


@pytest.mark.parametrize("value", ["x" * 100_000, "鍵" * 100_000])
def test_text_and_details_fit_into_what_clients_receive(value: str) -> None:
    """However long the value, and however many facts there are."""
    error = errors.InvalidArgument("labels", value, "must be short")
    error.info = errors.ErrorInfo("REASON", {f"{number:060}": "VALUE" for number in range(1_000)})
    code, text = status_of(error)
    ((_, details),) = details_of(error)
    assert text.startswith(f"Invalid labels ({value[:100]}")
    assert len(quote(text)) + len(b64encode(details)) < 8_000
    status = status_pb2.Status.FromString(details)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (status.code, status.message) == (code.value[0], text)
    assert 20 < len(info.metadata) < 1_000
    assert set(info.metadata.items()) <= set(error.info.metadata.items())
