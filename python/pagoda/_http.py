"""HTTP/1.1 over a Unix socket or TCP with the standard library, for short requests to one server."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Mapping, Optional


class UnixConnection(http.client.HTTPConnection):
    """A connection to the server that listens on the socket file `path`."""

    def __init__(self, path: str, timeout: Optional[float] = None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def request_json(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None,
                 headers: Optional[Mapping[str, str]] = None) -> "tuple[int, Any]":
    """Status and JSON of the reply (its text, where it is no JSON). Closes the connection on an error."""
    sent = dict(headers or {})
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    try:
        connection.request(method, path, body=data, headers=sent)
        reply = connection.getresponse()
        raw = reply.read()
    except BaseException:
        connection.close()
        raise
    text = raw.decode("utf-8", "replace")
    try:
        return reply.status, json.loads(text)
    except ValueError:
        return reply.status, text


def error_message(status: int, body: Any) -> str:
    """What an error reply says, in one line."""
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return str(body["error"].get("message", body["error"]))
    return f"HTTP status {status}: {str(body)[:300]}"
