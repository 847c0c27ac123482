"""Passes HTTP requests from an ASGI server to an engine's Unix socket and the replies back, unparsed."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.parse
from typing import Any, Awaitable, Callable, Dict, List, Optional, Tuple

Scope = Dict[str, Any]
Receive = Callable[[], Awaitable[Dict[str, Any]]]
Send = Callable[[Dict[str, Any]], Awaitable[None]]
Headers = List[Tuple[bytes, bytes]]

READ_BYTES = 64 * 1024
_MAX_HEAD_BYTES = 64 * 1024
# Of one connection, not of the message.
_HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade",
               b"proxy-connection", b"expect"}
# The ASGI server dates replies, and Serve adds the id that the engine was given.
_ADDED_BY_PROXIES = {b"date", b"x-request-id"}


class Unavailable(Exception):
    """There is no engine to pass the request to."""


class EngineLost(Exception):
    """The engine closed the connection before the end of its reply."""


class ChunkDecoder:
    """Takes the frames off a chunked body. Gives whole chunks only: an engine writes whole events as chunks,
    so that what was passed on ends with an event, whenever the engine ends."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.done = False

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        out = bytearray()
        at = 0
        while not self.done:
            end = self._buffer.find(b"\r\n", at)
            if end < 0:
                break
            size = int(self._buffer[at:end].split(b";")[0], 16)
            if size == 0:
                self.done = True
                break
            if len(self._buffer) < end + 2 + size + 2:
                break
            out += self._buffer[end + 2:end + 2 + size]
            at = end + 2 + size + 2
        del self._buffer[:at]
        return bytes(out)


def request_head(scope: Scope, has_length: bool) -> bytes:
    """The request line and headers for the engine; paths lose the prefix that the application is mounted at."""
    path = scope.get("raw_path") or urllib.parse.quote(scope["path"]).encode()
    prefix = urllib.parse.quote(scope.get("root_path", "").rstrip("/")).encode()
    if prefix and path.startswith(prefix):
        path = path[len(prefix):] or b"/"
    if scope.get("query_string"):
        path += b"?" + scope["query_string"]
    lines = [scope["method"].encode() + b" " + path + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in scope["headers"]
              if name.lower() not in _HOP_BY_HOP and (has_length or name.lower() != b"content-length")]
    # Says that this is no client on the engine's own machine, and who it is.
    client = scope.get("client")
    lines.append(b"x-forwarded-for: " + (str(client[0]).encode() if client else b"unknown"))
    lines.append(b"connection: close")
    if not has_length:
        lines.append(b"transfer-encoding: chunked")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def parse_response_head(head: bytes) -> Tuple[int, Headers]:
    lines = head.split(b"\r\n")
    headers: Headers = []
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        headers.append((name.strip().lower(), value.strip()))
    return int(lines[0].split(b" ")[1]), headers


async def _read(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    try:
        data = await loop.sock_recv(connection, READ_BYTES)
    except OSError as error:
        raise EngineLost(str(error)) from error
    if not data:
        raise EngineLost("the engine closed the connection")
    return data


async def _upload(loop: asyncio.AbstractEventLoop, connection: socket.socket, scope: Scope, receive: Receive,
                  left: asyncio.Event) -> None:
    """Sends the request, then waits for the client to leave and sets `left`."""
    names = {name.lower() for name, _ in scope["headers"]}
    # Where a request has both, the ASGI server has gone by its chunks.
    has_length = b"transfer-encoding" not in names
    sends = True
    try:
        await loop.sock_sendall(connection, request_head(scope, has_length))
    except OSError:
        sends = False
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            left.set()
            return
        body = message.get("body", b"")
        last = not message.get("more_body", False)
        if not has_length:
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + (b"0\r\n\r\n" if last else b"")
        if body and sends:
            try:
                await loop.sock_sendall(connection, body)
            except OSError:
                # An engine that refuses a request may close before it has read it; its reply is read all the same.
                sends = False


class _Reply:
    """Reads one reply and passes it on."""

    def __init__(self, connection: socket.socket, send: Send, method: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._send = send
        self._method = method
        self.started = False
        self.is_stream = False

    async def _head(self) -> Tuple[int, Headers, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await _read(self._loop, self._connection)
            if len(data) > _MAX_HEAD_BYTES:
                raise EngineLost("the head of a reply is too large")
        head, _, rest = data.partition(b"\r\n\r\n")
        status, headers = parse_response_head(head)
        if status == 100:
            raise EngineLost("an unexpected 100 Continue")
        return status, headers, rest

    async def _body(self, data: bytes, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def run(self) -> None:
        status, headers, data = await self._head()
        values = dict(headers)
        chunked = values.get(b"transfer-encoding", b"").lower() == b"chunked"
        self.is_stream = values.get(b"content-type", b"").startswith(b"text/event-stream")
        kept = [(name, value) for name, value in headers if name not in _HOP_BY_HOP
                and name not in _ADDED_BY_PROXIES]
        await self._send({"type": "http.response.start", "status": status, "headers": kept})
        self.started = True
        if self._method == "HEAD" or status in (204, 304):
            return await self._body(b"", False)
        if chunked:
            decoder = ChunkDecoder()
            while True:
                out = decoder.feed(data)
                if out or decoder.done:
                    await self._body(out, not decoder.done)
                if decoder.done:
                    return
                data = await _read(self._loop, self._connection)
        left = int(values.get(b"content-length", b"0"))
        while left > len(data):
            if data:
                await self._body(data, True)
            left -= len(data)
            data = await _read(self._loop, self._connection)
        await self._body(data[:left], False)


def _error_json(message: str, status: int) -> bytes:
    kind = "ServiceUnavailableError" if status == 503 else "InternalServerError"
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": status}}).encode()


async def send_unavailable(send: Send, message: str) -> None:
    """A 503 that clients try again after a second."""
    body = _error_json(message, 503)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
               (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def relay(path: str, scope: Scope, receive: Receive, send: Send) -> bool:
    """Passes one request to the engine that listens on `path`. False when the engine closed before its reply's end.

    Memory is bounded: the next 64 KiB are read when the last have been taken. A client that leaves, and a
    cancelled task, close the connection, by which the engine ends the request. An engine that ends in the
    middle of a stream becomes one error event without [DONE]; before the first byte it becomes a 503.
    """
    loop = asyncio.get_running_loop()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    tasks: "List[asyncio.Task[Any]]" = []
    try:
        try:
            await loop.sock_connect(connection, path)
        except OSError as error:
            raise Unavailable(str(error)) from error
        left = asyncio.Event()
        reply = _Reply(connection, send, scope["method"])
        upload = asyncio.ensure_future(_upload(loop, connection, scope, receive, left))
        download = asyncio.ensure_future(reply.run())
        tasks = [upload, download]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not download.done() and left.is_set():
            return True
        try:
            await download
            return True
        except EngineLost:
            if not reply.started:
                await send_unavailable(send, "the engine ended; it is being started again")
            elif reply.is_stream:
                event = b"data: " + _error_json("the engine ended in the middle of this answer", 500) + b"\n\n"
                await send({"type": "http.response.body", "body": event, "more_body": False})
            else:
                raise
            return False
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        connection.close()


async def get_json(path: str, target: str, headers: Optional[Dict[str, str]] = None, timeout: float = 2.0) -> Any:
    """JSON of a GET from the engine on `path`; OSError, EngineLost or TimeoutError when there is none in time."""
    sent: List[Dict[str, Any]] = []

    async def collect(message: Dict[str, Any]) -> None:
        sent.append(message)

    async def nothing() -> Dict[str, Any]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    scope: Scope = {"method": "GET", "path": target, "headers": [
        (name.lower().encode(), value.encode()) for name, value in {"host": "localhost", **(headers or {})}.items()]}
    try:
        await asyncio.wait_for(relay(path, scope, nothing, collect), timeout)
    except asyncio.TimeoutError as error:  # in Python 3.9 and 3.10 not the built-in one
        raise TimeoutError(f"no answer from the engine in {timeout:g} s") from error
    if not sent or sent[0]["status"] != 200:
        raise EngineLost(f"{target}: status {sent[0]['status'] if sent else 'none'}")
    return json.loads(b"".join(message["body"] for message in sent[1:]))
