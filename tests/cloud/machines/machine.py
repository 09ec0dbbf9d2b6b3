# SPDX-License-Identifier: MIT
"""The life of one machine: boot, systemd's part around the agent, and its end.

A machine has a metadata service and the processes of two sessions (see setsid(2)): the agent's and
that of runner.service. Its thread waits for the first of: the agent's end, `shutdown -h now`, a
message of the agent to systemd (sd_notify), a command from outside, or an alarm. As in the unit
file, an agent that fails or no longer feeds the watchdog powers the machine off.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import processes
from .metadata import Metadata
from .runner_service import RunnerService

HERE = Path(__file__).resolve().parent
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHUT_DOWN = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
TERMINATED = "Client.UserInitiatedShutdown: User initiated shutdown"
SPOT_TAKEN = "Server.SpotInstanceTermination: Spot instance termination"
DIED = "Server.InternalError: Internal error on launch or while running"
SHUTDOWN_COMES_SECONDS = 1.0


@dataclass
class Moment:
    """Something that happened to a machine."""

    at: float
    instance_id: str
    stage: str
    detail: str = ""


@dataclass
class Setup:
    """The settings of machines; tests change them before a launch."""

    agent: list[str]
    config: dict[str, object]
    starter: Path | None = None  # runner.service; without one, nobody starts a runner
    environment: dict[str, str] = field(default_factory=dict)
    boot_seconds: float = 0.3
    watchdog_seconds: float = 10.0
    stop_seconds: float = 2.0


class Machine:
    """One machine; `ended` is called in its thread when it is off, with the reason.

    `off` tells that it is off, `over` that everybody who is to know knows.
    """

    def __init__(
        self,
        directory: Path,
        metadata: Metadata,
        setup: Setup,
        ended: Callable[[Machine], None],
        tell: Callable[[Moment], None],
    ) -> None:
        self.directory = directory
        self.metadata = metadata
        self.setup = setup
        self.facts = metadata.facts
        self.id = metadata.facts.instance_id
        self.moments: list[Moment] = []
        self.reason = ""
        self.exit_code: int | None = None
        self.status_text = ""
        self.pings = 0
        self.off = threading.Event()
        self.over = threading.Event()
        self.agent: subprocess.Popen[bytes] | None = None
        self.runner_service: RunnerService | None = None
        self._tell = tell
        self._ended = ended
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._alarms: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._ping_limit = float("inf")
        self._power = -1
        self._pidfd = -1
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._notify_name = f"scale-agent/{self.id}/{secrets.token_hex(4)}"
        self._notify.bind(f"\0{self._notify_name}")

    @property
    def state(self) -> str:
        """Where the machine is in its life: its latest stage."""
        return self.moments[-1].stage if self.moments else "new"

    def start(self) -> None:
        """Switch the machine on."""
        where = self.facts.subnet or self.facts.zone
        self.note("on", f"{self.facts.instance_type} in {where}", self.facts.launched)
        self.at(self.setup.boot_seconds, self._boot)
        threading.Thread(target=self._live, name=f"machine-{self.id}", daemon=True).start()

    def end(self, reason: str, gently: bool = True) -> None:
        """Switch the machine off from outside: as by TerminateInstances, or without a word."""
        self.at(0, lambda: self._stop(reason, gently))

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Have the machine's thread do something after a while."""
        with self._lock:
            if not self.off.is_set():
                entry = (time.monotonic() + seconds, next(self._order), action)
                heapq.heappush(self._alarms, entry)
                os.eventfd_write(self._wake, 1)

    def note(self, stage: str, detail: str = "", at: float | None = None) -> None:
        """Record what happens, or happened."""
        moment = Moment(time.time() if at is None else at, self.id, stage, detail)
        self.moments.append(moment)
        self._tell(moment)

    def _live(self) -> None:
        try:
            self.metadata.start()
            while not self.off.is_set():
                self._turn()
        except Exception as error:  # nobody above us in this thread could tell
            self._stop(f"{DIED} ({error!r})", False)
        finally:
            self.metadata.stop()
            self._notify.close()
            if self.runner_service is not None:
                self.runner_service.forget()
            for descriptor in (self._wake, self._power, self._pidfd):
                if descriptor >= 0:
                    os.close(descriptor)
            self._ended(self)
            self.over.set()

    def _turn(self) -> None:
        """Wait for the next thing that happens, and let it happen."""
        poll = select.poll()
        handlers = {
            self._wake: lambda: os.eventfd_read(self._wake),
            self._notify.fileno(): self._hear,
            self._power: self._powered_off,
            self._pidfd: self._agent_ended,
        }
        for descriptor in handlers:
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(self._patience() * 1000)]
        for descriptor in sorted(ready, key=list(handlers).index):
            if not self.off.is_set():
                handlers[descriptor]()
        while not self.off.is_set() and (action := self._due()):
            action()
        if not self.off.is_set() and time.monotonic() > self._ping_limit:
            self.note("watchdog", "no ping from the agent")
            self._stop(f"{SHUT_DOWN} (FailureAction=poweroff: watchdog)", False)

    def _patience(self) -> float:
        with self._lock:
            first = self._alarms[0][0] if self._alarms else float("inf")
        return max(0.0, min(first, self._ping_limit, time.monotonic() + 60) - time.monotonic())

    def _due(self) -> Callable[[], None] | None:
        with self._lock:
            if self._alarms and self._alarms[0][0] <= time.monotonic():
                return heapq.heappop(self._alarms)[2]
        return None

    def _boot(self) -> None:
        programs = self.directory / "bin"
        programs.mkdir(parents=True)
        (self.directory / "runner").mkdir()
        (programs / "shutdown").symlink_to(HERE / "shutdown")
        os.mkfifo(self.directory / "power")
        self._power = os.open(self.directory / "power", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        if self.setup.starter is not None:
            self.runner_service = RunnerService(self.setup.starter, self.directory)
        config = self.directory / "config.json"
        config.write_text(json.dumps(self._config(), indent=2))
        command = [*self.setup.agent, "--config", str(config)]
        pid = self._run(command, "agent.log", self._environment())
        self.note("agent", f"pid {pid}")

    def _run(self, command: list[str], log_name: str, environment: dict[str, str] | None) -> int:
        """Start the main process, whose end ends the machine; give its pid."""
        with (self.directory / log_name).open("wb") as log:
            self.agent = subprocess.Popen(
                command,
                env=environment,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._pidfd = os.pidfd_open(self.agent.pid)
        return self.agent.pid

    def _config(self) -> dict[str, object]:
        config = json.loads(json.dumps(self.setup.config))
        runner = config.setdefault("runner", {})
        runner.setdefault("directory", str(self.directory / "runner"))
        nobody = self.directory / "starter.socket"
        socket = self.runner_service.path if self.runner_service else nobody
        runner.setdefault("socket", str(socket))
        return config

    def _environment(self) -> dict[str, str]:
        return self.setup.environment | {
            "PATH": f"{self.directory / 'bin'}:{SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata.url,
            "NOTIFY_SOCKET": f"@{self._notify_name}",
            "WATCHDOG_USEC": str(int(self.setup.watchdog_seconds * 1e6)),
        }

    def _hear(self) -> None:
        """Read the agent's messages to systemd."""
        for line in self._notify.recv(65536).decode(errors="replace").splitlines():
            name, _, value = line.partition("=")
            if line in ("READY=1", "WATCHDOG=1"):
                self._ping_limit = time.monotonic() + self.setup.watchdog_seconds
            if line == "WATCHDOG=1":
                self.pings += 1
            elif name == "STATUS":
                self.status_text = value
                self.note("status", value)
            elif line == "READY=1":
                self.note("ready")
            elif line == "STOPPING=1":
                self.note("stopping")

    def _powered_off(self) -> None:
        words = os.read(self._power, 4096).decode(errors="replace").strip()
        self.note("shutdown", words)
        if words.startswith(("-h now", "-P now", "now")):
            self._stop(SHUT_DOWN)

    def _reap(self) -> int:
        """Give the exit code of the main process, which has ended."""
        os.close(self._pidfd)
        self._pidfd = -1
        assert self.agent is not None
        self.exit_code = self.agent.wait()
        return self.exit_code

    def _agent_ended(self) -> None:
        self._ping_limit = float("inf")
        code = self._reap()
        if code == 0:
            # its child `shutdown` may still be on its way
            self.at(SHUTDOWN_COMES_SECONDS, self._forgotten)
            return
        how = f"exit code {code}" if code > 0 else processes.signal_name(-code)
        self.note("agent failed", how)
        self._stop(f"{SHUT_DOWN} (FailureAction=poweroff: {how})")

    def _forgotten(self) -> None:
        self.note("still on", "the agent ended without shutting the machine down")

    def _stop(self, reason: str, gently: bool = True) -> None:
        if self.off.is_set():
            return
        self.reason = reason
        if gently:
            self._signal(signal.SIGTERM)
            self._wait_for_processes()
        self._signal(signal.SIGKILL)
        for process in self._started():
            process.wait()
        if self.agent is not None:
            self.exit_code = self.agent.returncode
        self._wait_for_processes()
        self._turned_off(reason)

    def _turned_off(self, reason: str) -> None:
        self.note("off", reason)
        with self._lock:
            self.off.set()

    def _wait_for_processes(self) -> None:
        end = time.monotonic() + self.setup.stop_seconds
        pause = 0.01
        while time.monotonic() < end:
            for process in self._started():
                process.poll()
            if not self._processes():
                return
            time.sleep(pause)
            pause = min(2 * pause, 0.2)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _started(self) -> list[subprocess.Popen[bytes]]:
        found = [self.agent, self.runner_service.process if self.runner_service else None]
        return [process for process in found if process is not None]

    def _processes(self) -> list[int]:
        """The live processes of this machine."""
        return processes.of_sessions({process.pid for process in self._started()})
