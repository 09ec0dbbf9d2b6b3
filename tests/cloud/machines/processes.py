# SPDX-License-Identifier: MIT
"""Processes as /proc shows them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def is_running(pid: int) -> bool:
    """Tell whether a process lives: neither gone, nor a zombie, nor killed and about to go."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    status = dict(line.split(":", 1) for line in lines)
    pending = int(status["SigPnd"], 16) | int(status["ShdPnd"], 16)
    return status["State"].split()[0] not in "ZX" and not pending & 1 << signal.SIGKILL - 1


def of_sessions(sessions: set[int]) -> list[int]:
    """List the live processes of these sessions (in the sense of setsid)."""
    return [pid for pid in _pids() if _session(pid) in sessions and _family(pid)]


class Descendants:
    """The live processes that this one has started, and those that they have, and so on.

    Who was seen once stays known by its session, whatever became of its parent.
    """

    def __init__(self):
        self._known = {os.getpid()}
        self._sessions: set[int] = set()

    def pids(self) -> set[int]:
        """List them now."""
        families = {pid: family for pid in _pids() if (family := _family(pid))}
        self._known &= families.keys()
        found = True
        while found:
            found = {
                pid
                for pid, (parent, session) in families.items()
                if pid not in self._known and (parent in self._known or session in self._sessions)
            }
            self._known |= found
            self._sessions |= {pid for pid in found if families[pid][1] == pid}
        return self._known - {os.getpid()}


def signal_name(number: int) -> str:
    """Tell people how a process that was ended by a signal has ended."""
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(number).name}"
    return f"killed by signal {number}"


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208, much faster


def _session(pid: int) -> int:
    """The session of a process, without a look into /proc; 0 for one that is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _family(pid: int) -> tuple[int, int] | None:
    """The parent and the session of a process; None for one that is gone or to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] == "Z" else (int(fields[1]), int(fields[3]))
