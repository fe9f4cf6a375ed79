"""Servers of files on this machine: S3 by moto, SFTP by asyncssh, and plain HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import asyncssh

from jobs.places.sftp import fingerprint

USER, PASSWORD = "feeds", "a secret for the feeds"


@contextmanager
def s3_server() -> Iterator[str]:
    """moto's server; its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass
class SftpServer:
    """An SFTP server on a folder; its key can be changed while it runs."""

    root: Path
    port: int = 0
    fingerprint: str = ""


class Account(asyncssh.SSHServer):
    """Lets the one user in."""

    connections: ClassVar[list[asyncssh.SSHServerConnection]] = []

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connections.append(conn)

    def begin_auth(self, _username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


@contextmanager
def sftp_server(root: Path, authorized: Path | None = None) -> Iterator[SftpServer]:
    """asyncssh's server, in a thread with an event loop of its own."""
    found, key = SftpServer(root), asyncssh.generate_private_key("ssh-ed25519")
    found.fingerprint = fingerprint(key.public_data)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> Any:
        return await asyncssh.create_server(
            Account,
            "127.0.0.1",
            0,
            server_host_keys=[key],
            authorized_client_keys=str(authorized) if authorized else None,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(root)),
        )

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    found.port = server.get_port()
    try:
        yield found
    finally:

        async def end() -> None:
            server.close()
            await server.wait_closed()
            for connection in Account.connections:
                connection.abort()
                await connection.wait_closed()
            Account.connections.clear()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass
class WebServer:
    """Files in memory under their paths; `answers` are given instead; `slow` ones never end."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    slow: dict[str, threading.Event] = field(default_factory=dict)
    held: threading.Event = field(default_factory=threading.Event)  # while set, no PUT is answered
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class FileServer(ThreadingHTTPServer):
    kept: WebServer


class Handler(BaseHTTPRequestHandler):
    """Answers from what the server keeps."""

    server: FileServer

    def do_GET(self) -> None:
        path = self._note()
        if path in self.server.kept.slow:
            self._drip(self.server.kept.slow[path])
            return
        if path in self.server.kept.answers:
            status, headers, body = self.server.kept.answers[path]
        elif path in self.server.kept.files:
            status, headers, body = 200, {}, self.server.kept.files[path]
        else:
            status, headers, body = 404, {}, b"There is no such file."
        self._answer(status, body, headers)

    def do_PUT(self) -> None:
        path = self._note()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        while self.server.kept.held.is_set():
            threading.Event().wait(0.02)
        if path in self.server.kept.answers:
            self._answer(*self.server.kept.answers[path][::2])
            return
        self.server.kept.files[path] = body
        self._answer(201, b"")

    def _note(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.server.kept.asked.append((self.command, self.path, dict(self.headers)))
        return path

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        with suppress(ConnectionError):  # the client may have been killed
            self.end_headers()
            self.wfile.write(body)

    def _drip(self, released: threading.Event) -> None:
        """Send a little now and then, until the event is set or nobody listens."""
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 40))
        self.end_headers()
        with suppress(ConnectionError):
            while not released.wait(0.1):
                self.wfile.write(b"x" * 100_000)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def web_server() -> Iterator[WebServer]:
    """A server of files over HTTP."""
    found = WebServer()

    with FileServer(("127.0.0.1", 0), Handler) as server:
        server.kept = found
        found.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()
