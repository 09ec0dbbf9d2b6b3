# SPDX-License-Identifier: MIT
"""Processes as /proc shows them."""

from __future__ import annotations

import contextlib
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
    return [pid for pid in _pids() if _session(pid) in sessions] if sessions else []


def signal_name(number: int) -> str:
    """Tell people how a process that was ended by a signal has ended."""
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(number).name}"
    return f"killed by signal {number}"


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _session(pid: int) -> int:
    """The session of a process; 0 for one that is gone or waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return 0
    return 0 if fields[0] == "Z" else int(fields[3])
