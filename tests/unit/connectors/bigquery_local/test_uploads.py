"""Files that come with a load job: whole, in parts, and resumed."""

import pytest

from connectors.bigquery_local.errors import Refusal
from connectors.bigquery_local.uploads import Uploads, multipart

JOB = {"configuration": {}}


def test_multipart_keeps_every_byte() -> None:
    """Also line ends and hyphens in the file."""
    media = b"\r\n--a\r\n\r\nPAR1\x00\r\n"
    body = (
        b"--==b\r\nContent-Type: application/json\r\n\r\n{\"configuration\": {}}\r\n"
        b"--==b\r\nContent-Type: */*\r\n\r\n" + media + b"\r\n--==b--"
    )  # fmt: skip
    assert multipart('multipart/related; boundary="==b"', body) == (JOB, media)


@pytest.mark.parametrize(("kind", "body"), [
    ("multipart/related", b""), ("multipart/related; boundary=b", b"--b\r\n\r\n{}\r\n--b--"),
    ("multipart/related; boundary=b", b"--b\r\n\r\n{\r\n--b\r\n\r\nx\r\n--b--"),
])  # fmt: skip
def test_bad_multipart(kind: str, body: bytes) -> None:
    """No boundary, one part, no JSON."""
    with pytest.raises(Refusal, match="Invalid upload"):
        multipart(kind, body)


def test_parts_in_order() -> None:
    """The last part, by the total or by its star, ends the upload."""
    uploads = Uploads()
    upload = uploads.begin(JOB)
    assert uploads.add(upload, "bytes 0-2/*", b"abc") is None
    assert uploads.received(upload) == 3
    assert uploads.add(upload, "bytes */*", b"") is None
    assert uploads.add(upload, "bytes 3-4/5", b"de") == (JOB, b"abcde")
    with pytest.raises(Refusal, match="Not found: Upload"):
        uploads.received(upload)


def test_gap_is_refused() -> None:
    """A part must begin where the file ends."""
    uploads = Uploads()
    upload = uploads.begin(JOB)
    with pytest.raises(Refusal, match="a part at 3 where 0 bytes are known"):
        uploads.add(upload, "bytes 3-4/5", b"de")


def test_whole_file_in_one_request() -> None:
    """Without a range."""
    uploads = Uploads()
    assert uploads.add(uploads.begin(JOB), "", b"abc") == (JOB, b"abc")
