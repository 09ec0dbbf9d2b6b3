# SPDX-License-Identifier: MIT
"""A directory tree as Lambda gives it to a function: the zip below /var/task, and glibc.

There is nothing else: no shared library but libc and its loader, no /etc, no /dev. The Lambda host
of the local cloud starts the program there (chroot), and qemu-user runs it where it is another
architecture's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.aws.sandbox import Sandbox
from cloud.aws.template import Function

PROJECT = Path(__file__).resolve().parents[2]
TASK = "/var/task"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:scale-agent-"
QEMU = "/qemu"


@dataclass(frozen=True)
class Architecture:
    """Where glibc is on this machine, and where a program looks for it."""

    name: str
    triplet: str
    loader: str
    foreign: str  # name of QEMU's user emulation

    @property
    def native(self) -> bool:
        """Tell whether this machine runs it."""
        return os.uname().machine == self.triplet.partition("-")[0]

    def library(self, name: str) -> Path:
        """Find one of glibc's files."""
        places = [f"/lib/{self.triplet}", f"/usr/{self.triplet}/lib"]
        found = [Path(place) / name for place in places if (Path(place) / name).exists()]
        assert found, f"{name} of {self.name} is in none of {places}"
        return found[0]


ARCHITECTURES = {
    "x86_64": Architecture("x86_64", "x86_64-linux-gnu", "/lib64/ld-linux-x86-64.so.2", "x86_64"),
    "arm64": Architecture("arm64", "aarch64-linux-gnu", "/lib/ld-linux-aarch64.so.1", "aarch64"),
}


def may_chroot() -> list[str]:
    """Give the command that starts a program in another root; without root, in a namespace."""
    chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert chroot
    return [chroot] if os.geteuid() == 0 else ["/usr/bin/unshare", "--map-root-user", chroot]


class Root:
    """A root with nothing but glibc, and the command that starts programs in it."""

    def __init__(self, root: Path, architecture: Architecture):
        self.root = root
        self.command = [*may_chroot(), str(root)]
        loader = Path(architecture.loader)
        self._copy(architecture.library(loader.name), architecture.loader)
        self._copy(architecture.library("libc.so.6"), f"/lib/{architecture.triplet}/libc.so.6")
        if not architecture.native:
            self._copy(Path(f"/usr/bin/qemu-{architecture.foreign}-static"), QEMU)
            self.command.append(QEMU)

    def _copy(self, source: Path, target: str) -> None:
        place = self.root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)


def trust(certificate: Path, directory: Path) -> None:
    """Add an authority to a directory as OpenSSL looks for it: by the hash of its subject."""
    command = ["openssl", "x509", "-in", str(certificate), "-noout", "-subject_hash"]
    subject = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(certificate, directory / f"{subject.strip()}.0")


class Tree(Root):
    """The tree, and how to start the program in it."""

    def __init__(self, root: Path, archive: Path, architecture: Architecture):
        super().__init__(root, architecture)
        task = root / TASK.lstrip("/")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(task)
            for entry in opened.infolist():
                (task / entry.filename).chmod(entry.external_attr >> 16 & 0o777)
        self.authorities = task / "ca"

    def trust(self, certificate: Path) -> None:
        """Add an authority as the zip has its own."""
        trust(certificate, self.authorities)

    def start(
        self, handler: str, environment: dict[str, str], log: Callable[[str], Any], timeout: float
    ) -> Sandbox:
        """Start the program as a function, with nothing but what Lambda and the template set."""
        function = Function(handler, handler, ARN + handler, handler, 128, timeout, "", {}, 1)
        settings = {
            "_HANDLER": handler,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "session",
            "SSL_CERT_DIR": f"{TASK}/ca",
        }
        command = [*self.command, f"{TASK}/bootstrap"]
        return Sandbox(function, command, settings | environment, self.root, log)
