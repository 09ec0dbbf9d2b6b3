# SPDX-License-Identifier: MIT
"""Talks to a running QEMU: power button, network cable, start of the processors.

QEMU's monitor protocol (QMP) is one JSON object per line; events come between answers.
https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from cloud.limits import PATIENCE


class QmpError(Exception):
    """QEMU refused a command, or is gone."""


class Qmp:
    """The monitor of one QEMU."""

    def __init__(self, path: Path) -> None:
        self._stream = _connect(path)
        self._lines = self._stream.makefile("rb")
        self._read()  # the greeting
        self.run("qmp_capabilities")

    def run(self, command: str, **arguments: Any) -> Any:
        """Run a command and return its answer."""
        request = {"execute": command, "arguments": arguments}
        try:
            self._stream.sendall(json.dumps(request).encode() + b"\n")
            while True:
                answer = self._read()
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise QmpError(f"{command}: {answer['error'].get('desc', answer['error'])}")
        except OSError as error:
            raise QmpError(f"{command}: {error}") from error

    def close(self) -> None:
        """Leave the monitor; the machine keeps running."""
        self._stream.close()

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise QmpError("QEMU ended")
        return json.loads(line)


def _connect(path: Path) -> socket.socket:
    end = time.monotonic() + PATIENCE
    while True:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stream.connect(str(path))
        except OSError as error:
            stream.close()
            if time.monotonic() > end:
                raise QmpError(f"no monitor at {path}: {error}") from error
            time.sleep(0.02)
        else:
            return stream
