"""What Azure and Google answer to the requests that we make, as far as we make them.

Neither has a server that installs from PyPI; these two say what their documentation says.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BUCKET, TOKEN = "feeds", "token-of-google"
WHEN = "Fri, 20 Nov 2026 10:00:00 GMT"


@dataclass
class Cloud:
    """Files by name, and who asked with which authorization."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    authorized: list[str] = field(default_factory=list)
    status: int = 0  # instead of a good answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, prefix: str) -> list[str]:
        """The files directly below a prefix, as a list with a delimiter has them."""
        return [n for n in self.files if n.startswith(prefix) and "/" not in n[len(prefix) :]]


class CloudHandler(BaseHTTPRequestHandler):
    """Reads the request and answers."""

    server: CloudServer

    def asked(self) -> tuple[str, dict[str, str], bytes]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.cloud.authorized.append(self.headers.get("Authorization", ""))
        return unquote(parts.path), query, body

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        if self.server.cloud.status:
            status, body = self.server.cloud.status, b""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class CloudServer(ThreadingHTTPServer):
    cloud: Cloud


class AzureHandler(CloudHandler):
    def do_GET(self) -> None:
        path, query, _ = self.asked()
        cloud = self.server.cloud
        if query.get("comp") == "list":
            self.say(200, self._listed(query.get("prefix", "")), Content_Type="application/xml")
            return
        name = path.removeprefix(f"/{BUCKET}/")
        if name not in cloud.files:
            self.say(404, x_ms_error_code="BlobNotFound")
            return
        data = cloud.files[name]
        if "x-ms-range" not in self.headers:
            self.say(200, data, ETag='"1"', Last_Modified=WHEN, x_ms_blob_type="BlockBlob")
            return
        first, last = self.headers["x-ms-range"].removeprefix("bytes=").split("-")
        if int(first) >= len(data):
            self.say(416, x_ms_error_code="InvalidRange")
            return
        part = data[int(first) : int(last) + 1]
        shown = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        self.say(206, part, Content_Range=shown, ETag='"1"', Last_Modified=WHEN,
                 x_ms_blob_type="BlockBlob")  # fmt: skip

    def do_PUT(self) -> None:
        path, _, body = self.asked()
        self.server.cloud.files[path.removeprefix(f"/{BUCKET}/")] = body
        self.say(201, ETag='"1"', Last_Modified=WHEN)

    def _listed(self, prefix: str) -> bytes:
        cloud = self.server.cloud
        blobs = "".join(
            f"<Blob><Name>{name}</Name><Properties><Last-Modified>{WHEN}</Last-Modified>"
            f"<Content-Length>{len(cloud.files[name])}</Content-Length>"
            "<BlobType>BlockBlob</BlobType></Properties></Blob>"
            for name in cloud.named(prefix)
        )
        return (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults>'
            f"<Prefix>{prefix}</Prefix><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>"
        ).encode()


class GoogleHandler(CloudHandler):
    def do_GET(self) -> None:
        path, query, _ = self.asked()
        cloud = self.server.cloud
        listing = f"/storage/v1/b/{BUCKET}/o"
        if path == listing:
            items = [
                {"name": n, "size": str(len(cloud.files[n])), "updated": "2026-11-20T10:00:00.000Z"}
                for n in cloud.named(query.get("prefix", ""))
            ]
            self.say(200, json.dumps({"items": items}).encode())
            return
        name = path.removeprefix(f"{listing}/")
        if name in cloud.files and query.get("alt") == "media":
            self.say(200, cloud.files[name])
        else:
            self.say(404, json.dumps({"error": {"message": "No such object"}}).encode())

    def do_POST(self) -> None:
        path, query, body = self.asked()
        if path == "/token":
            answer = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
            self.say(200, json.dumps(answer).encode())
        else:
            self.server.cloud.files[query["name"]] = body
            self.say(200, b"{}")


@contextmanager
def cloud(handler: type[CloudHandler]) -> Iterator[Cloud]:
    found = Cloud()
    with CloudServer(("127.0.0.1", 0), handler) as server:
        server.cloud, found.port = found, server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def service_account(url: str) -> str:
    """A service account's file, with a key of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "feeds@example.org",
            "private_key": private.decode(),
            "token_uri": f"{url}/token",
        }
    )
