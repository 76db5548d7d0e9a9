"""Cloud Storage's XML API on top of fake-gcs-server, as far as ``deltalake`` uses it.

The server answers the JSON API; ``deltalake`` speaks the XML one, as it does to Google:
https://cloud.google.com/storage/docs/xml-api/overview. Requests of the JSON API are passed on.
"""

from __future__ import annotations

import http.client
import json
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit
from xml.sax.saxutils import escape

from tests.storage_servers import Choose, FaultyProxy, _Handler

Answer: TypeAlias = tuple[int, list[tuple[str, str]], bytes]

_JSON = ("/storage/", "/upload/", "/batch/", "/download/", "/b/")
_ABSENT = b"<Error><Code>NoSuchKey</Code></Error>"
_BOUNDARY = "part-3f1c94d2b7"
_CHANGED = ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
"""When an object was changed plays no part in these tests."""


def _in_parts(name: str, body: bytes) -> bytes:
    part = f"--{_BOUNDARY}\r\nContent-Type: application"
    told = f"{part}/json\r\n\r\n{json.dumps({'name': name})}\r\n{part}/octet-stream\r\n\r\n"
    return told.encode() + body + f"\r\n--{_BOUNDARY}--\r\n".encode()


class XmlServer(FaultyProxy):
    """A proxy that knows both APIs, and does what the chooser says. A context manager."""

    def __init__(self, port: int, choose: Choose = lambda _method, _path: None) -> None:
        super().__init__(port, choose)
        self.RequestHandlerClass = _XmlHandler


class _XmlHandler(_Handler):
    """Makes a request of the XML API one of the JSON API, and turns the answer back."""

    def _forwarded(self, body: bytes) -> Answer:
        if self.path.startswith(_JSON):
            return super()._forwarded(body)
        url = urlsplit(self.path)
        bucket, _, name = unquote(url.path).lstrip("/").partition("/")
        if not name:
            return self._list(bucket, {key: each[0] for key, each in parse_qs(url.query).items()})
        place = f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        if self.command == "PUT":
            return self._put(bucket, name, body)
        if self.command == "DELETE":
            status, _, content = self._call("DELETE", place)
            return (204, [], b"") if status == HTTPStatus.OK else (status, [], content)
        return self._get(place)

    def _put(self, bucket: str, name: str, body: bytes) -> Answer:
        # In parts: the server heeds no precondition of other uploads.
        query = {"uploadType": "multipart"}
        if "x-goog-if-generation-match" in self.headers:
            query["ifGenerationMatch"] = self.headers["x-goog-if-generation-match"]
        path = f"/upload/storage/v1/b/{bucket}/o?{urlencode(query)}"
        kind = {"Content-Type": f"multipart/related; boundary={_BOUNDARY}"}
        status, _, content = self._call("POST", path, _in_parts(name, body), kind)
        if status != HTTPStatus.OK:
            return status, [], content
        made = json.loads(content)
        return 200, [("ETag", made["etag"]), ("x-goog-generation", made["generation"])], b""

    def _get(self, place: str) -> Answer:
        status, _, content = self._call("GET", place)
        if status != HTTPStatus.OK:
            return status, [], _ABSENT
        found = json.loads(content)
        told = [("ETag", found["etag"]), _CHANGED]
        if self.command == "HEAD":
            return 200, told, bytes(int(found["size"]))  # only its length is sent
        wanted = {"Range": self.headers["Range"]} if "Range" in self.headers else {}
        status, headers, content = self._call("GET", f"{place}?alt=media", headers=wanted)
        told += [pair for pair in headers if pair[0].lower() == "content-range"]
        return status, told, content

    def _list(self, bucket: str, query: dict[str, str]) -> Answer:
        asked = {key: query[key] for key in ("prefix", "delimiter") if key in query}
        status, _, content = self._call("GET", f"/storage/v1/b/{bucket}/o?{urlencode(asked)}")
        if status != HTTPStatus.OK:
            return status, [], _ABSENT
        found = json.loads(content)
        keys = "".join(
            f"<Contents><Key>{escape(item['name'])}</Key><Size>{item['size']}</Size>"
            f"<LastModified>{item['updated']}</LastModified><ETag>{item['etag']}</ETag></Contents>"
            for item in found.get("items", [])
            if item["name"] > query.get("start-after", "")
        )
        folders = "".join(
            f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>"
            for each in found.get("prefixes", [])
        )
        text = f"<ListBucketResult>{keys}{folders}</ListBucketResult>"
        return 200, [("Content-Type", "application/xml")], text.encode()

    def _call(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target_port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()
