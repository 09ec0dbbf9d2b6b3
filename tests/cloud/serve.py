# SPDX-License-Identifier: MIT
"""A small HTTP/1.1 server that GitHub's stand-in and the metadata services share.

One thread accepts, one thread serves each connection and keeps it alive. A handler gets a Request
and returns an Answer, or None to cut the connection without a word, which is how faults are made.
It listens on the loopback only.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BODY_LIMIT = 26 * 1024 * 1024
CLOSE_WAIT = 8  # of the states in Linux' <net/tcp_states.h>
IDLE_SECONDS = 120.0


@dataclass
class Request:
    """One request; header names are lower case, the path is decoded and without its query.

    `target` is path and query as they came; `caller` is for whom the server takes the client to be.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    target: str = ""
    caller: Any = None


@dataclass
class Answer:
    """What a handler answers; `of` makes one with a JSON body."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, document: Any) -> Answer:
        """Make an answer with a JSON body."""
        body = json.dumps(document).encode()
        return cls(status, body, {"Content-Type": "application/json; charset=utf-8"})


Handle = Callable[[Request], Answer | None]


class Server:
    """Serves `handle` on the loopback until it is stopped; on this port, or a free one."""

    def __init__(
        self, handle: Handle, tls: ssl.SSLContext | None = None, name: str = "http", port: int = 0
    ):
        self.handle = handle
        self.tls = tls
        self.name = name
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> Server:
        """Begin to accept connections."""
        accept_each(self._listener, self._serve, self.name)
        return self

    def stop(self) -> None:
        """Refuse new connections and end the open ones."""
        close(self._listener)
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            close(connection)

    def is_drained(self) -> bool:
        """Tell whether all was handled that clients had sent before they went away."""
        with self._lock:
            connections = list(self._connections)
        return not _waiting(self._listener) and not any(map(_is_left, connections))

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(IDLE_SECONDS)
        with self._lock:
            self._connections.add(connection)
        try:
            if self.tls is not None:
                connection = self._secure(connection, self.tls)
            _Connection(connection, connection.getpeername(), self)  # type: ignore[arg-type]
        except OSError:
            pass  # a client that went away, or does not trust us, is its own problem
        finally:
            with self._lock:
                self._connections.discard(connection)
            close(connection)

    def _secure(self, plain: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        secured = tls.wrap_socket(plain, server_side=True)
        with self._lock:
            self._connections.discard(plain)
            self._connections.add(secured)
        return secured


def _tcp_info(connection: socket.socket) -> bytes:
    """Read the beginning of Linux' struct tcp_info; empty for a socket that was closed."""
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)
    except OSError:
        return b""


def _is_left(connection: socket.socket) -> bool:
    """Tell whether the client has gone, and the connection's thread has not seen it yet."""
    return _tcp_info(connection)[:1] == bytes([CLOSE_WAIT])


def _waiting(listener: socket.socket) -> bool:
    """Tell whether there are connections that nobody has accepted yet (tcpi_unacked)."""
    return any(_tcp_info(listener)[24:28])


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError:  # someone else has it
        return socket.create_server(("127.0.0.1", 0), backlog=128)


class _Connection(BaseHTTPRequestHandler):
    """Reads the requests of one connection; the parsing is the standard library's."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server_version = "local-cloud"
    sys_version = ""
    server: Server  # type: ignore[assignment]

    def _take(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > BODY_LIMIT:
            self._send(Answer(413, b"body too large"))
            self.close_connection = True
            return
        split = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(split.path),
            parse_qs(split.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(length)),
            self.path,
        )
        answer = self.server.handle(request)
        if answer is None:
            self.close_connection = True
            return
        self._send(answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _take

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(answer.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the stand-ins record their calls themselves."""


def iso(seconds: float) -> str:
    """Write a time as AWS and GitHub do."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def accept_each(listener: socket.socket, serve: Callable[[socket.socket], None], name: str) -> None:
    """Serve each connection in a thread of its own, until the listener is closed."""

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=[connection], name=name, daemon=True).start()

    threading.Thread(target=accept, name=f"{name}-accept", daemon=True).start()


def close(connection: socket.socket) -> None:
    """End a connection at once, or wake and end the thread that accepts them."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
