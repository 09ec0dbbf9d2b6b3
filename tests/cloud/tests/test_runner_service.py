# SPDX-License-Identifier: MIT
"""runner.service gets its listening socket as systemd passes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]

# A process of its own: only there is the listener's number known. It closes all others but BEFORE.
START = """
import os, socket, sys
from pathlib import Path
from cloud.machines.runner_service import RunnerService

first = int(sys.argv[2])
os.closerange(3, 256)
for _ in range(3, first):
    os.open("/dev/null", os.O_RDONLY)
probe = socket.socket()
assert probe.fileno() == first
probe.close()
service = RunnerService(Path(sys.argv[1]), Path.cwd())
service.process.wait()
service.forget()
"""

PROGRAM = """#!/bin/sh
[ "$LISTEN_PID" = $$ ] && [ "$LISTEN_FDS" = 1 ] && readlink /proc/$$/fd/3 && ls /proc/$$/fd
"""


@pytest.mark.parametrize("descriptor", [3, 4, 7])
def test_whatever_its_number_was_the_listener_is_descriptor_3(tmp_path, descriptor):
    program = tmp_path / "program"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    subprocess.run(
        [sys.executable, "-c", START, str(program), str(descriptor)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        cwd=tmp_path,
        check=True,
    )
    socket, *descriptors = (tmp_path / "starter.log").read_text().split()
    assert socket.startswith("socket:")
    assert str(descriptor) not in descriptors or descriptor == 3
