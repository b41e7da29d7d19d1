"""A fake of Azure Blob Storage where Azurite cannot run: the part of its REST protocol that the course uses.

Containers, block blobs in one piece, lists in pages, ETags and conditional writes; everything in memory, on loopback.
It does not check signatures, and knows no leases, snapshots, tiers or blocks: what it does not know gets a 501.
The protocol: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

__all__ = ["main", "serve"]

_PAGE = 5000  # blobs in one page of a list, as Azure gives
_VERSION = "2026-02-06"


@dataclass(frozen=True)
class _Blob:
    body: bytes
    kind: str
    changed: str

    @property
    def etag(self) -> str:
        return f'"0x{hashlib.sha256(self.body + self.changed.encode()).hexdigest()[:15].upper()}"'

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": self.etag,
            "Last-Modified": self.changed,
            "Content-Type": self.kind,
            "x-ms-blob-type": "BlockBlob",
            "Accept-Ranges": "bytes",
        }


class _Refused(Exception):
    """An answer that is an error, with Azure's own code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class _Account(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.containers: dict[str, dict[str, _Blob]] = {}
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Account

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        _, _, container, blob = [*unquote(parts.path).split("/", 3), "", ""][:4]
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        what = "blob" if blob else query.get("restype", "account" if not container else "")
        action = getattr(self, f"_{self.command.lower()}_{what}", None)
        try:
            with self.server.lock:
                if action is None or query.get("comp", "list") != "list":
                    raise _Refused(501, "NotImplemented", f"The stand-in does not know {self.command} {self.path}.")
                status, headers, reply = action(container, blob, query, body)
        except _Refused as error:
            text = f"<Error><Code>{error.code}</Code><Message>{escape(str(error))}</Message></Error>"
            status, headers, reply = error.status, {"x-ms-error-code": error.code}, text.encode()
        self._send(status, headers, reply)

    do_GET = do_HEAD = do_PUT = do_DELETE = _answer  # noqa: N815 - the names are the standard library's

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"x-ms-version": _VERSION, "x-ms-request-id": "0", **headers}.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the log to what went wrong."""

    # containers ----------------------------------------------------------------------------------------------------
    def _get_account(self, *_: object) -> tuple[int, dict[str, str], bytes]:
        names = "".join(
            f"<Container><Name>{escape(name)}</Name></Container>" for name in sorted(self.server.containers)
        )
        return _xml(f"<EnumerationResults><Containers>{names}</Containers><NextMarker/></EnumerationResults>")

    def _put_container(self, container: str, *_: object) -> tuple[int, dict[str, str], bytes]:
        if not re.fullmatch(r"[a-z0-9](-?[a-z0-9]){2,62}", container):
            raise _Refused(400, "InvalidResourceName", f"{container!r} is no name for a container.")
        if container in self.server.containers:
            raise _Refused(409, "ContainerAlreadyExists", "The specified container already exists.")
        self.server.containers[container] = {}
        return 201, {"ETag": '"0x1"', "Last-Modified": formatdate(usegmt=True)}, b""

    def _get_container(
        self, container: str, _: str, query: dict[str, str], __: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        blobs = self._blobs(container)
        if "comp" not in query:
            return 200, {"ETag": '"0x1"', "Last-Modified": formatdate(usegmt=True)}, b""
        names = sorted(name for name in blobs if name.startswith(query.get("prefix", "")))
        rest = [name for name in names if name > query.get("marker", "")]
        size = min(int(query.get("maxresults", _PAGE)), _PAGE)
        page = rest[:size]
        marker = escape(page[-1]) if len(rest) > size else ""
        listed = "".join(_listed(name, blobs[name]) for name in page)
        return _xml(
            f"<EnumerationResults><Blobs>{listed}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
        )

    _head_container = _get_container

    def _delete_container(self, container: str, *_: object) -> tuple[int, dict[str, str], bytes]:
        self._blobs(container)
        del self.server.containers[container]
        return 202, {}, b""

    # blobs -----------------------------------------------------------------------------------------------------------
    def _put_blob(self, container: str, blob: str, _: object, body: bytes) -> tuple[int, dict[str, str], bytes]:
        blobs = self._blobs(container)
        if self.headers.get("x-ms-blob-type") != "BlockBlob":
            raise _Refused(501, "NotImplemented", "The stand-in knows block blobs, uploaded in one piece.")
        old = blobs.get(blob)
        if old and self.headers.get("If-None-Match") == "*":
            raise _Refused(409, "BlobAlreadyExists", "The specified blob already exists.")
        wanted = self.headers.get("If-Match")
        if wanted and (old is None or wanted not in {"*", old.etag}):
            raise _Refused(
                412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."
            )
        kind = self.headers.get("x-ms-blob-content-type") or "application/octet-stream"
        blobs[blob] = made = _Blob(body, kind, formatdate(usegmt=True))
        return 201, {"ETag": made.etag, "Last-Modified": made.changed}, b""

    def _get_blob(self, container: str, blob: str, *_: object) -> tuple[int, dict[str, str], bytes]:
        found = self._blob(container, blob)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("x-ms-range") or self.headers.get("Range") or "")
        if asked is None:
            return 200, found.headers, found.body
        first, size = int(asked[1]), len(found.body)
        if first >= size:
            raise _Refused(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
        last = min(int(asked[2] or size), size - 1)
        return 206, {**found.headers, "Content-Range": f"bytes {first}-{last}/{size}"}, found.body[first : last + 1]

    def _head_blob(self, container: str, blob: str, *_: object) -> tuple[int, dict[str, str], bytes]:
        found = self._blob(container, blob)
        return 200, {**found.headers, "Content-Length": str(len(found.body))}, b""

    def _delete_blob(self, container: str, blob: str, *_: object) -> tuple[int, dict[str, str], bytes]:
        self._blob(container, blob)
        del self.server.containers[container][blob]
        return 202, {}, b""

    def _blobs(self, container: str) -> dict[str, _Blob]:
        if container not in self.server.containers:
            raise _Refused(404, "ContainerNotFound", "The specified container does not exist.")
        return self.server.containers[container]

    def _blob(self, container: str, blob: str) -> _Blob:
        blobs = self._blobs(container)
        if blob not in blobs:
            raise _Refused(404, "BlobNotFound", "The specified blob does not exist.")
        return blobs[blob]


def _listed(name: str, blob: _Blob) -> str:
    return (
        f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>{blob.changed}</Last-Modified>"
        f"<Etag>{escape(blob.etag)}</Etag><Content-Length>{len(blob.body)}</Content-Length>"
        f"<Content-Type>{escape(blob.kind)}</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
    )


def _xml(text: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/xml"}, f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode()


def serve(port: int) -> ThreadingHTTPServer:
    """Return the server, bound to ``port`` of the loopback address; call its ``serve_forever``."""
    return _Account(port)


def main(arguments: list[str] | None = None) -> None:
    """Serve until a signal ends it; the port is the only argument."""
    serve(int((arguments or sys.argv[1:])[0])).serve_forever()


if __name__ == "__main__":
    main()
