"""A proxy on this machine that adds a delay to each request and records what passes through."""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from contextlib import closing, suppress
from dataclasses import dataclass
from time import monotonic

HOST = "127.0.0.1"
LARGEST_HEAD = 1 << 16
PIECE = 1 << 16
END_OF_HEAD = b"\r\n\r\n"
CONTINUE = b"100"


@dataclass(frozen=True)
class Exchange:
    """One request and its reply: times, in seconds of a monotonic clock, and bytes."""

    method: str
    start: float
    end: float
    sent: int
    received: int


class Proxy:
    """Forwards HTTP/1.1 from a free local port to `port`, in a thread of its own.

    `delay` is in seconds and can be changed at any time. Connections stay open as long as the
    server keeps them open.
    """

    def __init__(self, port: int) -> None:
        """Start listening at `address`."""
        self.delay = 0.0
        self._port = port
        self._exchanges: list[Exchange] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        listening = asyncio.start_server(self._serve, HOST, 0, limit=LARGEST_HEAD)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        self.address = f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    def take(self) -> list[Exchange]:
        """Return the exchanges recorded since the last call."""
        taken, self._exchanges = self._exchanges, []
        return taken

    def stop(self) -> None:
        """Stop listening, and close the connections."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, client: StreamReader, to_client: StreamWriter) -> None:
        """Forward one client's connection, request by request."""
        # Either side may disconnect between two requests, and a killed client in the middle of one.
        with suppress(asyncio.IncompleteReadError, ConnectionError), closing(to_client):
            server, to_server = await asyncio.open_connection(HOST, self._port, limit=LARGEST_HEAD)
            with closing(to_server):
                while await self._exchange(client, to_client, server, to_server):
                    pass

    async def _exchange(
        self,
        client: StreamReader,
        to_client: StreamWriter,
        server: StreamReader,
        to_server: StreamWriter,
    ) -> bool:
        """Forward one request and its reply; return whether another may follow."""
        head = await client.readuntil(END_OF_HEAD)
        start = monotonic()
        await asyncio.sleep(self.delay)
        asked = _fields(head)
        method = head.split(b" ", 1)[0].decode()
        to_server.write(head)
        received, status = 0, CONTINUE
        if b"expect" in asked:
            interim = await server.readuntil(END_OF_HEAD)
            to_client.write(interim)
            received += len(interim)
        sent = len(head) + await _body(asked, client, to_server, until_closed=False)
        # moto's server sends 100 Continue more than once.
        while status == CONTINUE:
            answer = await server.readuntil(END_OF_HEAD)
            to_client.write(answer)
            received += len(answer)
            status = answer.split(b" ", 2)[1]
        told = _fields(answer)
        if method != "HEAD" and status not in (b"204", b"304"):
            received += await _body(told, server, to_client, until_closed=True)
        self._exchanges.append(Exchange(method, start, monotonic(), sent, received))
        await to_client.drain()
        return told.get(b"connection", b"").lower() != b"close"


def _fields(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
    return {name.strip().lower(): value.strip() for name, _, value in lines}


async def _body(
    fields: dict[bytes, bytes], source: StreamReader, into: StreamWriter, *, until_closed: bool
) -> int:
    """Copy a message's body as its header fields delimit it (RFC 9112, 6.3); return its size."""
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        return await _chunks(source, into)
    length = fields.get(b"content-length")
    if length is not None:
        return await _copy(source, into, int(length))
    return await _copy(source, into, None) if until_closed else 0


async def _chunks(source: StreamReader, into: StreamWriter) -> int:
    copied = 0
    while True:
        line = await source.readuntil(b"\r\n")
        into.write(line)
        size = int(line.split(b";")[0], 16)
        copied += len(line) + await _copy(source, into, size + 2)
        if not size:
            return copied


async def _copy(source: StreamReader, into: StreamWriter, size: int | None) -> int:
    """Copy `size` bytes, or everything until the source is closed."""
    copied = 0
    while size is None or copied < size:
        piece = await source.read(PIECE if size is None else min(PIECE, size - copied))
        if not piece:
            break
        into.write(piece)
        copied += len(piece)
        await into.drain()
    return copied
