# SPDX-License-Identifier: MIT
"""A sandbox: one process of a Lambda function, and the Runtime API endpoint that it polls.

The process gets the function's environment and the credentials of the function's own role, and
nothing else. It is killed at the function's time-out. An invocation fails by a time-out, a crash,
or an error that the process reports. A process should end by itself when the Runtime API is gone.
"""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..limits import PATIENCE
from ..serve import Answer, Request, Server
from .template import Function

RUNTIME = "/2018-06-01/runtime"
ACCEPTED = Answer(202, b'{"status":"OK"}\n', {"Content-Type": "application/json"})
STOP_SECONDS = 2.0
MARK = b"\0\n"
GOODBYE_SECONDS = 0.5  # for a program that ends by itself when the Runtime API is gone
PAYLOAD_LIMIT = 6 * 1024 * 1024

STOPPED = "Sandbox.Stopped"


class FunctionError(Exception):
    """An invocation that failed: what Lambda reports as FunctionError, with type and message."""

    def __init__(self, kind: str, message: str):
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


@dataclass
class _Invocation:
    """One event on its way through a sandbox."""

    event: bytes
    deadline_ms: int
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    done: threading.Event = field(default_factory=threading.Event)
    answer: bytes = b""
    error: FunctionError | None = None

    def finish(self, answer: bytes = b"", error: FunctionError | None = None) -> None:
        """Settle the invocation; only the first answer counts."""
        if not self.done.is_set():
            self.answer, self.error = answer, error
            self.done.set()


class Sandbox:
    """One process of a function, and the Runtime API endpoint that it polls."""

    def __init__(
        self, function: Function, command: list[str], environment: dict[str, str],
        directory: Path, log: Callable[[str], None],
    ):  # fmt: skip
        self.function = function
        self._log = log
        self._next: queue.Queue[_Invocation | None] = queue.Queue()
        self._current: _Invocation | None = None
        self._released = False
        self._drained = threading.Event()
        self._server = Server(self._serve, name=f"runtime-{function.handler}").start()
        self._process = subprocess.Popen(
            command,
            env={**environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.port}"},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Tell whether the process can take another event."""
        return self._process.poll() is None

    def invoke(self, event: bytes) -> bytes:
        """Hand one event to the process and wait for its answer."""
        timeout = self.function.timeout
        now = time.time()
        invocation = _Invocation(event, int((now + timeout) * 1000))
        self._current = invocation
        self._next.put(invocation)
        if not self.alive:
            self._crashed()
        if not invocation.done.wait(timeout):
            message = f"{invocation.request_id} Task timed out after {timeout:.2f} seconds"
            invocation.finish(error=FunctionError("Sandbox.Timedout", message))
            self._process.kill()
            self._process.wait()
        self._drain()
        if invocation.error is not None:
            raise invocation.error
        return invocation.answer

    def _drain(self) -> None:
        """Wait until the output is read: a mark is sent through the process's own pipe."""
        self._drained.clear()
        try:
            Path(f"/proc/{self.pid}/fd/1").write_bytes(MARK)
            self._drained.wait(PATIENCE)
        except OSError:  # it has ended
            self._reader.join(PATIENCE)

    def stop(self) -> int:
        """End the process, with SIGKILL if need be; give its exit status."""
        self.release()
        for end, seconds in (
            (lambda: None, GOODBYE_SECONDS),
            (self._process.terminate, STOP_SECONDS),
            (self._process.kill, STOP_SECONDS),
        ):
            end()
            try:
                self._process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        self._server.stop()
        self._reader.join(STOP_SECONDS)
        return self._process.wait()

    def release(self) -> None:
        """Stop answering, so that a process that waits for its next event can end."""
        self._finish(error=FunctionError(STOPPED, "the local cloud has stopped"))
        self._released = True
        self._next.put(None)

    def _serve(self, request: Request) -> Answer | None:
        path = request.path
        if self._released:
            return None
        if request.method == "GET" and path == f"{RUNTIME}/invocation/next":
            return self._give_next()
        if request.method == "POST" and path == f"{RUNTIME}/init/error":
            self._finish(error=_reported(request, "Runtime.InitError"))
            return ACCEPTED
        invocation = self._current
        if request.method == "POST" and path.startswith(f"{RUNTIME}/invocation/"):
            request_id, _, verb = path.removeprefix(f"{RUNTIME}/invocation/").partition("/")
            if invocation is None or request_id != invocation.request_id:
                return Answer.of(
                    400, {"errorType": "InvalidRequestID", "errorMessage": "Invalid request ID"}
                )
            if verb == "response":
                return self._take_response(request)
            if verb == "error":
                self._finish(error=_reported(request, "Runtime.Unknown"))
                return ACCEPTED
        return Answer.of(404, {"errorType": "NotFound", "errorMessage": f"no {path} here"})

    def _give_next(self) -> Answer | None:
        invocation = self._next.get()
        if invocation is None:
            return None
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self.function.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}",
        }
        return Answer(200, invocation.event, headers)

    def _take_response(self, request: Request) -> Answer:
        if len(request.body) > PAYLOAD_LIMIT:
            message = (
                f"Response payload size exceeded maximum allowed size ({PAYLOAD_LIMIT} bytes)."
            )
            self._finish(error=FunctionError("Function.ResponseSizeTooLarge", message))
            return Answer.of(413, {"errorType": "RequestEntityTooLarge", "errorMessage": message})
        self._finish(request.body)
        return ACCEPTED

    def _finish(self, answer: bytes = b"", error: FunctionError | None = None) -> None:
        if self._current is not None:
            self._current.finish(answer, error)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.removesuffix(MARK)
            if text:
                self._log(text.decode(errors="replace").rstrip("\n"))
            if text != line:
                self._drained.set()
        self._process.wait()
        self._crashed()

    def _crashed(self) -> None:
        status = self._process.wait()
        reason = (
            f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        )
        message = f"Error: Runtime exited with error: {reason}"
        self._finish(error=FunctionError("Runtime.ExitError", message))


def _reported(request: Request, default: str) -> FunctionError:
    kind = request.headers.get("lambda-runtime-function-error-type", default)
    text = request.body.decode(errors="replace")
    try:
        document = json.loads(text)
        return FunctionError(document.get("errorType", kind), document.get("errorMessage", text))
    except (ValueError, AttributeError):
        return FunctionError(kind, text)
