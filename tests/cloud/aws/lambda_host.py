# SPDX-License-Identifier: MIT
"""The Lambda host: the sandboxes of one function, as many at a time as its concurrency.

A sandbox starts with the first event that no waiting sandbox can take, and is kept warm.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .sandbox import STOPPED, FunctionError, Sandbox
from .template import Function

Failed = Callable[[str, FunctionError], None]


class Host:
    """Invokes one function."""

    def __init__(self, function: Function, start: Callable[[Function], Sandbox], failed: Failed):
        self.function = function
        self._start, self._failed = start, failed
        self._idle: list[Sandbox] = []
        self._all: set[Sandbox] = set()
        self._starting = 0
        self._stopped = False
        self._free = threading.Condition()

    @property
    def busy(self) -> int:
        """Count the events that are being worked on."""
        with self._free:
            return len(self._all) + self._starting - len(self._idle)

    @property
    def pids(self) -> list[int]:
        """List the processes that run."""
        with self._free:
            return [sandbox.pid for sandbox in self._all if sandbox.alive]

    def invoke(self, event: bytes) -> bytes:
        """Run one event; wait for a sandbox when all are busy."""
        try:
            sandbox = self._acquire() or self._begin()
            try:
                return sandbox.invoke(event)
            finally:
                self._release(sandbox)
        except FunctionError as error:
            if error.kind != STOPPED:
                self._failed(self.function.handler, error)
            raise

    def _acquire(self) -> Sandbox | None:
        """Take a warm sandbox; None when a new one may be started."""
        with self._free:
            while not self._stopped:
                while self._idle:
                    sandbox = self._idle.pop()
                    if sandbox.alive:
                        return sandbox
                    self._drop(sandbox)
                if len(self._all) + self._starting < self.function.concurrency:
                    self._starting += 1
                    return None
                self._free.wait()
        raise FunctionError(STOPPED, "the local cloud has stopped")

    def _begin(self) -> Sandbox:
        try:
            sandbox = self._start(self.function)
        except OSError as problem:
            raise FunctionError("Runtime.InvalidEntrypoint", str(problem)) from problem
        else:
            with self._free:
                self._all.add(sandbox)
            return sandbox
        finally:
            with self._free:
                self._starting -= 1
                self._free.notify()

    def _release(self, sandbox: Sandbox) -> None:
        with self._free:
            if sandbox.alive and not self._stopped:
                self._idle.append(sandbox)
            else:
                self._drop(sandbox)
            self._free.notify()

    def _drop(self, sandbox: Sandbox) -> None:
        self._all.discard(sandbox)
        sandbox.stop()

    def release(self) -> list[Sandbox]:
        """Take no more events, and let idle processes end."""
        with self._free:
            self._stopped = True
            sandboxes = list(self._all)
            self._idle.clear()
            self._free.notify_all()
        for sandbox in sandboxes:
            sandbox.release()
        return sandboxes

    def stop(self) -> None:
        """End every sandbox, busy ones too."""
        for sandbox in self.release():
            sandbox.stop()
