# SPDX-License-Identifier: MIT
"""Where runners connect to GitHub's stand-in to get their job.

The protocol is our own, one JSON object per line: the runner says hello with what is in its
just-in-time configuration and gets a session; it says that it listens and gets a job; it says that
it began, and how it ended. The end of the connection is the end of the runner.
"""

from __future__ import annotations

import json
import socket
import time
import uuid
from typing import Any

from ..serve import accept_each, close
from .jobs import Job, Jobs
from .registry import Registry, Runner

DELETED = (
    "Failed to create a session. The runner registration has been deleted from the server,"
    " please re-configure. Runner registrations are automatically deleted for runners that have"
    " not connected to the service recently."
)
CONFLICT = "A session for this runner already exists."
LINE_LIMIT = 65536


class Connection:
    """The session of one runner."""

    def __init__(self, stream: socket.socket, runner: Runner) -> None:
        self.stream = stream
        self.runner = runner
        self.job: Job | None = None

    def send(self, message: dict[str, object]) -> bool:
        """Tell the runner something; False when it is gone."""
        try:
            self.stream.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True


class Broker:
    """Accepts runners; one thread reads from each."""

    def __init__(self, registry: Registry, jobs: Jobs) -> None:
        self.registry = registry
        self.jobs = jobs
        self.behaviours: list[str] = []
        self._streams: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        registry.server_url = self.url

    def start(self) -> None:
        """Begin to accept runners."""
        accept_each(self._listener, self._serve, "broker")

    def stop(self) -> None:
        """Drop every runner."""
        for stream in [self._listener, *self._streams]:
            close(stream)

    def behave(self, behaviour: str, times: int = 1) -> None:
        """Make the next runners that connect behave badly from the start."""
        with self.registry.lock:
            self.behaviours += [behaviour] * times

    def expel(self, runner: Runner) -> None:
        """Forget a runner that is online, as GitHub does with idle ones after some minutes."""
        self.registry.remove(runner)
        for session in list(self.jobs.sessions()):
            if session.runner is runner:
                session.send({"error": DELETED, "code": 1})

    def _serve(self, stream: socket.socket) -> None:
        self._streams.add(stream)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with stream.makefile("rb") as lines:
                session = self._welcome(stream, _read(lines))
                if session is not None:
                    self._converse(session, lines)
        except (OSError, ValueError):
            pass  # a runner that was killed in the middle of a line
        finally:
            self._streams.discard(stream)
            close(stream)

    def _welcome(self, stream: socket.socket, hello: dict[str, Any]) -> Connection | None:
        answer: dict[str, object]
        with self.registry.lock:
            runner = self.registry.by_client(str(hello.get("client_id")))
            session = None
            if runner is None or runner.proof != hello.get("proof"):
                answer = {"error": DELETED, "code": 1}
            elif runner.online:
                answer = {"error": CONFLICT, "code": 5}
            else:
                session = self._open(stream, runner, str(hello.get("version")))
                behaviour = self.behaviours.pop(0) if self.behaviours else ""
                answer = {"session": str(uuid.uuid4()), "behaviour": behaviour}
        Connection(stream, runner).send(answer)  # type: ignore[arg-type]
        return session

    def _open(self, stream: socket.socket, runner: Runner, version: str) -> Connection:
        runner.online, runner.version = True, version
        runner.connected = time.time()
        runner.sessions += 1
        return Connection(stream, runner)

    def _converse(self, session: Connection, lines: Any) -> None:
        try:
            while message := _read(lines):
                if "listening" in message:
                    self.jobs.joined(session)
                elif "acquired" in message:
                    self.jobs.acquired(session)
                elif "result" in message:
                    self.jobs.finished(
                        session, str(message["result"]), str(message.get("output", ""))
                    )
                    session.send({"done": True})
        finally:
            self.jobs.left(session)


def _read(lines: Any) -> dict[str, Any]:
    """The next message; empty at the end of the connection."""
    line = lines.readline(LINE_LIMIT)
    return json.loads(line) if line else {}
