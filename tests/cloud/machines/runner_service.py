# SPDX-License-Identifier: MIT
"""runner.service with its socket, as systemd starts it: the agent has its runner started there."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from ..settings import INHERITED

# Moves the listener to descriptor 3. exec keeps the shell's pid, which LISTEN_PID has to be.
SCRIPT = '[ "$1" = 3 ] || eval "exec 3<&$1 $1<&-"; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0"'


class RunnerService:
    """The starter, listening at `path`; it writes to DIRECTORY/starter.log."""

    def __init__(self, program: Path, directory: Path):
        # not in DIRECTORY: the path of a socket has 107 characters at the most
        self.path = Path(tempfile.mkdtemp(prefix="starter-", dir="/tmp")) / "socket"
        self.log = directory / "starter.log"
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
            self.log.open("wb") as log,
        ):
            listener.bind(str(self.path))
            listener.listen(8)
            self.process = subprocess.Popen(
                ["/bin/bash", "-c", SCRIPT, str(program), str(listener.fileno())],
                pass_fds=[listener.fileno()],
                env=_environment(),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
                start_new_session=True,
            )

    def forget(self) -> None:
        """Take the socket away, when the program has ended."""
        shutil.rmtree(self.path.parent, ignore_errors=True)


def _environment() -> dict[str, str]:
    """Give the variables that systemd sets for a unit with User=, and the sanitizers' settings."""
    user = pwd.getpwuid(os.getuid())
    own = {"HOME": user.pw_dir, "LOGNAME": user.pw_name, "SHELL": user.pw_shell}
    settings = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**own, "USER": user.pw_name, **settings}
