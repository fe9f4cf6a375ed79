"""A TCP proxy with faults: latency, throttle, black hole, reset, half-close.

It runs in a thread of its own; the switches may be turned while connections are open.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress

BLOCK = 64 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`upstream`."""

    def __init__(self, upstream: int):
        self.upstream, self.port = upstream, 0
        self.latency = 0.0  # seconds, each way
        self.bytes_per_second = 0  # 0 is without limit
        self.swallows_requests = self.swallows_answers = False
        self.reset_on = b""  # reset when a request contains this, after it was forwarded
        self.resets = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait(5)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.close()
            return
        pair = {writer, far_writer}
        self._open |= pair
        try:
            await asyncio.gather(
                self._pass(reader, far_writer, pair, requests=True),
                self._pass(far_reader, writer, pair, requests=False),
            )
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open -= pair
            for each in pair:
                each.close()

    async def _pass(self, source, target, pair, *, requests: bool) -> None:
        while block := await source.read(BLOCK):
            if self.latency:
                await asyncio.sleep(self.latency)
            if self.bytes_per_second:
                await asyncio.sleep(len(block) / self.bytes_per_second)
            if self.swallows_requests if requests else self.swallows_answers:
                continue
            target.write(block)
            await target.drain()
            if requests and self.reset_on and self.reset_on in block:
                self.reset_on, self.resets = b"", self.resets + 1
                _reset(pair)
        if target.can_write_eof():
            target.write_eof()

    def reset(self) -> None:
        """Reset every open connection, towards both sides."""
        self._loop.call_soon_threadsafe(lambda: _reset(set(self._open)))

    def half_close(self) -> None:
        """Say on every open connection that nothing more will come; what comes is still taken."""

        def close() -> None:
            for writer in self._open:
                with suppress(OSError, RuntimeError):
                    writer.write_eof()

        self._loop.call_soon_threadsafe(close)

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            _reset(set(self._open))
            waiting = asyncio.all_tasks() - {asyncio.current_task()}
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(end(), self._loop)
        self._thread.join(5)


def _reset(writers: set[asyncio.StreamWriter]) -> None:
    for writer in writers:
        found = writer.get_extra_info("socket")
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writer.transport.abort()
