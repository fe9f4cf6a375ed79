"""Receivers of what jobs tell others: a web server and a mail server on this machine."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Call:
    """One POST: its headers, the bytes of its body, and those as JSON."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]


@dataclass
class WebReceiver:
    """Keeps every POST and answers as it is told; while `held` is set it does not answer."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    status: int = 204
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    held: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def keys(self) -> Counter[str]:
        """How often each key came."""
        return Counter(call.key for call in self.calls)


@contextmanager
def web_receiver() -> Iterator[WebReceiver]:
    """A web server on a port of its own."""
    receiver = WebReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.calls.append(Call(dict(self.headers), body))
            while receiver.held.is_set():
                threading.Event().wait(0.02)
            try:
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(receiver.text.encode())
            except ConnectionError:
                pass  # the sender was killed

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield receiver
        receiver.held.clear()
        server.shutdown()
        thread.join()


@dataclass
class MailReceiver:
    """Keeps every mail, or refuses it with an answer."""

    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    answer: str = "250 OK"
    recipient_answer: str = "250 OK"

    # Names and arguments are the server's.
    async def handle_RCPT(self, _s: Any, _e: Any, envelope: Any, address: str, _o: Any) -> str:  # noqa: N802
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, _s: Any, _e: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.mails.append(envelope.content)
            self.to.extend(envelope.rcpt_tos)
        return self.answer


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    """A mail server on a port of its own."""
    receiver = MailReceiver()
    with socket.create_server(("127.0.0.1", 0)) as free:
        receiver.port = free.getsockname()[1]
    controller = Controller(receiver, hostname="127.0.0.1", port=receiver.port, ready_timeout=10)
    controller.start()
    yield receiver
    controller.stop()
