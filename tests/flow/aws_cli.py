# SPDX-License-Identifier: MIT
"""The machine's AWS CLI, loaded once for all calls of the tests.

A call takes 0.6 s of CPU, nearly all of it to load Python modules and descriptions of AWS. Here one
process loads them (aws_cli_server.py) and answers each call; a small client stands in the place
of `aws`. A CLI that is no Python program, such as version 2, is called as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# The AWS CLI of the machine, unless tests/prepare had to install one.
PATH = f"{PROJECT / 'build' / 'aws' / 'bin'}:{os.environ['PATH']}"

# It imports what it needs from below the standard library: `os` and `socket` take half of its time.
CLIENT = """#!{python} -IS
import _socket, marshal, posix, sys
server = _socket.socket(_socket.AF_UNIX)
server.connect({socket!r})
three = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
server.sendmsg([b"x"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, three)])
server.sendall(marshal.dumps((sys.argv[1:], posix.environ, posix.getcwd()), 2))
server.shutdown(_socket.SHUT_WR)
status = server.recv(1)
sys.exit(status[0] if status else 255)
"""


class AwsCli:
    """Its `program` is what to call; FOLDER/aws where the CLI could be loaded."""

    def __init__(self, folder: Path):
        found = subprocess.run(
            [str(PROJECT / "scaler" / "deploy" / "find-aws")],
            env={**os.environ, "PATH": PATH},
            capture_output=True,
            text=True,
            check=True,
        )
        self.program = Path(found.stdout.strip())
        self._server: subprocess.Popen[str] | None = None
        python = interpreter_of(self.program)
        if python is not None:
            self._load(python, folder)

    def _load(self, python: str, folder: Path) -> None:
        socket = folder / "socket"
        self._server = subprocess.Popen(
            [python, str(Path(__file__).with_name("aws_cli_server.py")), str(socket)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        if self._server.stdout.readline() == "ready\n":
            self.program = folder / "aws"
            client = CLIENT.format(python=os.path.realpath(sys.executable), socket=str(socket))
            self.program.write_text(client)
            self.program.chmod(0o755)

    def stop(self) -> None:
        """End the process that has it loaded."""
        if self._server is not None:
            assert self._server.stdin is not None
            self._server.stdin.close()
            self._server.wait()


def interpreter_of(program: Path) -> str | None:
    """Find the Python that runs a program; None when it is no Python program."""
    if program.parent.name == "shims" and shutil.which("pyenv"):  # a script that finds the program
        found = subprocess.run(
            ["pyenv", "which", program.name], capture_output=True, text=True, check=False
        )
        program = Path(found.stdout.strip())
    with program.open("rb") as file:
        first = file.readline(256)
    words = first.removeprefix(b"#!").split()
    return words[0].decode() if first.startswith(b"#!") and b"python" in first else None
