# SPDX-License-Identifier: MIT
"""The two packages of an architecture, read with the tools that install them."""

from __future__ import annotations

import email
import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tree import PROJECT, Architecture

DEBIAN = {"x86_64": "amd64", "arm64": "arm64"}
RPM = {"x86_64": "x86_64", "arm64": "aarch64"}
MAINTAINED = "Maintainer: nobody <nobody@localhost>\nDescription: there\n"


def read(*command: object) -> bytes:
    """Give what a command prints."""
    return subprocess.run([str(word) for word in command], check=True, capture_output=True).stdout


def as_root() -> list[str]:
    """Give what lets a command be root over a root of its own."""
    return [] if os.geteuid() == 0 else ["/usr/bin/unshare", "--map-root-user"]


@dataclass(frozen=True)
class File:
    """What a package says about one file."""

    mode: int
    owner: str
    time: int


class Deb:
    """The package for Debian and Ubuntu."""

    def __init__(self, architecture: Architecture):
        self.architecture = DEBIAN[architecture.name]
        self.path = PROJECT / "build" / f"runner-agent-{architecture.name}.deb"

    def fields(self) -> dict[str, str]:
        """Its control file."""
        return dict(email.message_from_bytes(read("dpkg-deb", "--field", self.path)))

    def control(self) -> dict[str, str]:
        """All that dpkg gets besides files, by name."""
        with self._open("--ctrl-tarfile") as opened:
            files = [member for member in opened.getmembers() if member.isfile()]
            return {
                member.name.removeprefix("./"): opened.extractfile(member).read().decode()
                for member in files
            }

    def files(self) -> dict[str, File]:
        """Each file that it installs, by its path."""
        with self._open("--fsys-tarfile") as opened:
            return {
                member.name.removeprefix("."): File(
                    member.mode, f"{member.uid}:{member.gid}", member.mtime
                )
                for member in opened.getmembers()
                if not member.isdir()
            }

    def folders(self) -> set[tuple[int, str]]:
        """The modes and owners of its folders."""
        with self._open("--fsys-tarfile") as opened:
            return {
                (member.mode, f"{member.uid}:{member.gid}")
                for member in opened.getmembers()
                if member.isdir()
            }

    def _open(self, what: str) -> tarfile.TarFile:
        return tarfile.open(fileobj=io.BytesIO(read("dpkg-deb", what, self.path)))

    def install(self, root: Path, glibc: str = "2.36-9") -> subprocess.CompletedProcess[str]:
        """Let dpkg install it into a root that has what it depends on, with this glibc."""
        state = root / "var/lib/dpkg"
        for name in ("info", "updates", "triggers"):
            (state / name).mkdir(parents=True)
        there = {"libc6": glibc, "systemd": "252.39-1", "ca-certificates": "20230311"}
        (state / "status").write_text("\n".join(self._installed(*one) for one in there.items()))
        own = read("dpkg", "--print-architecture").decode()
        (state / "arch").write_text(f"{own}amd64\narm64\n")
        return self.dpkg(root, "--install", str(self.path))

    def dpkg(self, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run dpkg on that root."""
        command = [*as_root(), "dpkg", f"--root={root}", f"--log={root}/log", *arguments]
        return subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def _installed(self, name: str, version: str) -> str:
        status = "Multi-Arch: same\nStatus: install ok installed\n"
        return (
            f"Package: {name}\nVersion: {version}\nArchitecture: {self.architecture}\n"
            f"{status}{MAINTAINED}"
        )


class Rpm:
    """The package for Amazon Linux."""

    def __init__(self, architecture: Architecture):
        self.architecture = RPM[architecture.name]
        self.path = PROJECT / "build" / f"runner-agent-{architecture.name}.rpm"

    def ask(self, *what: str) -> str:
        """Ask rpm about it."""
        return read("rpm", "--query", "--package", *what, self.path).decode()

    def files(self) -> dict[str, File]:
        """Each file that it installs, by its path."""
        form = "[%{FILENAMES} %{FILEMODES} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMTIMES}\n]"
        rows = [line.split() for line in self.ask("--queryformat", form).splitlines()]
        return {
            path: File(int(mode) & 0o7777, owner.replace("root", "0"), int(time))
            for path, mode, owner, time in rows
            if int(mode) & 0o170000 == 0o100000
        }

    def install(self, root: Path) -> None:
        """Let rpm install it into an empty root."""
        options = ["--nodeps", "--noscripts", "--ignorearch", "--ignoreos", "--dbpath=/rpm"]
        root.mkdir()
        read(*as_root(), "rpm", f"--root={root}", *options, "--install", self.path)
