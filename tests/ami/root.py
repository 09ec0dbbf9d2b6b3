# SPDX-License-Identifier: MIT
"""Root folders of Debian in which ami/install runs by chroot, and what tests look up in them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cloud.limits import PATIENCE

PROJECT = Path(__file__).resolve().parents[2]
VERSION = "2.330.0"
UNITS = {
    "runner-agent.service": "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=basic.target\n",
    "runner-agent-deadline.timer": "[Timer]\nOnBootSec=7h\n[Install]\nWantedBy=timers.target\n",
    "runner-agent-deadline.service": "[Service]\nExecStart=/bin/true\n",
    "runner.socket": "[Socket]\nListenSequentialPacket=/run/runner-agent/starter.socket\n",
    "runner.service": "[Service]\nExecStart=/bin/true\nUser=runner\n",
}
# A second run may write these again: package databases, and caches of programs that packages run.
WRITTEN_AGAIN = (
    "/var/lib/dpkg", "/var/cache/ldconfig", "/var/log", "/var/lib/apt", "/var/cache/debconf",
    "/etc/ld.so.cache", "/var/lib/initramfs-tools", "/boot/initrd.img-",
)  # fmt: skip
# Stands in for GitHub's runner: a program that answers `warmup`.
LISTENER = """#!/bin/sh
mkdir -p _diag
[ "$1" = warmup ] && [ "$(id -un)" = runner ] && [ -w . ] && [ "$HOME" = /home/runner ]
"""


def debian_arch() -> str:
    """Return Debian's name of this machine's architecture."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


@dataclass
class Ended:
    """How a command in a root ended."""

    status: int
    output: str


@dataclass
class Root:
    """A root folder, with the inputs of ami/install mounted at /in, and ami/ at /ami."""

    path: Path
    inputs: Path
    settings: dict[str, str] = field(default_factory=dict)
    ami: Path = PROJECT / "ami"

    def __truediv__(self, name: str) -> Path:
        return self.path / name.lstrip("/")

    def run(self, *command: str, network: bool = True, **environment: str) -> Ended:
        """Run a command by chroot; without network, in a network namespace of its own."""
        enter = [] if network else ["unshare", "--net"]
        enter += [str(PROJECT / "tests/vm/enter"), str(self.path), *command]
        bind = f"{self.ami}:/ami {self.inputs}:/in"
        ended = subprocess.run(
            enter,
            env={"PATH": os.environ["PATH"], "BIND": bind, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=2 * PATIENCE,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout.decode(errors="replace"))

    def install(self, *arguments: str, **settings: str) -> Ended:
        """Run ami/install with good settings, except for those given."""
        merged = {**self.settings, **settings}
        return self.run("/ami/install", *arguments, **merged)

    def copy(self, path: Path) -> Root:
        """Copy the root; a test may change the copy."""
        subprocess.run(["cp", "-a", "--reflink=auto", self.path, path], check=True)
        return Root(path, self.inputs, dict(self.settings), self.ami)

    @contextmanager
    def lend(self, path: Path) -> Iterator[Root]:
        """Copy the root, and remove the copy: half the work while the disk has not seen it yet."""
        yield self.copy(path)
        subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)

    def tree(self) -> dict[str, tuple[int, int, int, int, int, str]]:
        """List everything in the root: mode, owner, size, time of change and target of links."""
        found = {}
        top = len(str(self.path))
        for folder, folders, files in os.walk(self.path):
            for name in folders + files:
                path = f"{folder}/{name}"  # Path would take most of the time of some tests
                st = os.lstat(path)
                is_folder = stat.S_ISDIR(st.st_mode)
                link = os.readlink(path) if stat.S_ISLNK(st.st_mode) else ""  # noqa: PTH115
                size, time = (0, 0) if is_folder else (st.st_size, st.st_mtime_ns)
                found[path[top:]] = (st.st_mode, st.st_uid, st.st_gid, size, time, link)
        return found

    def contents(self) -> dict[str, str]:
        """Return mode, owner and content of everything: files by checksum, links by target."""
        found = {}
        for name, (mode, uid, gid, _, _, link) in self.tree().items():
            if stat.S_ISLNK(mode):
                value = f"link to {link}"
            elif stat.S_ISREG(mode):
                value = hashlib.sha256((self / name).read_bytes()).hexdigest()
            else:
                value = ""
            found[name] = f"{mode:o} {uid}:{gid} {value}"
        return found

    def text(self, name: str) -> str:
        """Read a file."""
        return (self / name).read_text()

    def exists(self, name: str) -> bool:
        """Tell whether a name exists, also as a broken link."""
        return os.path.lexists(self / name)

    def masked(self, unit: str) -> bool:
        """Tell whether the unit is masked: systemd refuses to start it."""
        path = self / f"etc/systemd/system/{unit}"
        return path.is_symlink() and str(path.readlink()) == "/dev/null"

    def enabled(self, unit: str) -> bool:
        """Tell whether a target or another unit wants the unit."""
        wants = (self / "etc/systemd/system").glob("*.wants/*")
        return any(path.name == unit for path in wants) and not self.masked(unit)


def make_archive(path: Path, listener: str = LISTENER) -> str:
    """Make an archive like that of GitHub's runner, and return its SHA-256."""
    content = path.parent / f"{path.name}.d"
    (content / "bin").mkdir(parents=True, exist_ok=True)
    for name in ("bin/Runner.Listener", "run.sh"):
        (content / name).write_text(listener)
        (content / name).chmod(0o755)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(content, ".")
    shutil.rmtree(content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


AWS_INSTALL = """#!/bin/sh
# Called as --update --install-dir FOLDER --bin-dir FOLDER.
mkdir -p "$3" && printf '#!/bin/sh\\necho aws-cli/2\\n' >"$5/aws" && chmod 755 "$5/aws"
"""


def make_programs(folder: Path, pins: Path) -> None:
    """Make stand-ins for the programs of tools.pins, laid out as the releases, and pin them."""
    rows = []
    for line in pins.read_text().splitlines():
        if line.startswith("#") or not line:
            continue
        name, version, arch, _, address = line.split()
        path = folder / address.split("/")[-1]
        path.parent.mkdir(exist_ok=True)
        pack(path, program_files(name, version))
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append(f"{name} {version} {arch} {checksum} {address}\n")
    pins.write_text("".join(rows))


def program_files(name: str, version: str) -> dict[str, str]:
    """Return what the release of a program holds."""
    program = f"#!/bin/sh\necho {name} {version}\n"
    top = f"{name}-{version}"
    return {
        "gh": {f"{top}/bin/gh": program},
        "yq": {"": program},
        "node": {
            f"{top}/bin/node": program,
            f"{top}/bin/npm": program,
            f"{top}/lib/node_modules/npm/package.json": "{}",
        },
        "awscli": {"aws/install": AWS_INSTALL},
    }[name]


def pack(path: Path, files: dict[str, str]) -> None:
    """Make an archive of programs, of the kind that its name says; a plain file without one."""
    if "" in files:
        path.write_text(files[""])
        return
    content = path.parent / f"{path.name}.d"
    for name, text in files.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text(text)
        (content / name).chmod(0o755)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in files:
                archive.write(content / name, name)
    else:
        with tarfile.open(path, f"w:{path.suffix[1:]}") as archive:
            for name in sorted(path.name for path in content.iterdir()):
                archive.add(content / name, name)
    shutil.rmtree(content)


def make_package(path: Path, name: str = "runner-agent", arch: str = "", units: int = 5) -> None:
    """Make a package with the agent's units, which do nothing."""
    content = path.parent / f"{path.name}.d"
    (content / "DEBIAN").mkdir(parents=True)
    (content / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: {arch or debian_arch()}\n"
        "Maintainer: nobody <nobody@localhost>\nDescription: stands in for the agent\n"
    )
    folder = content / "usr/lib/systemd/system"
    folder.mkdir(parents=True)
    for unit, text in list(UNITS.items())[:units]:
        (folder / unit).write_text(f"[Unit]\nDescription={unit}\n{text}")
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", "-Znone", content, path],
        check=True,
        capture_output=True,
    )
    shutil.rmtree(content)


def make_inputs(folder: Path) -> dict[str, str]:
    """Make the inputs of ami/install, and return the settings that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    make_package(folder / "agent.deb")
    built = PROJECT / f"build/runner-agent-{os.uname().machine.replace('aarch64', 'arm64')}.deb"
    if built.exists():
        shutil.copy(built, folder / "built.deb")
    checksum = make_archive(folder / "runner.tar.gz")
    (folder / "settings.json").write_text(json.dumps({"sha256": checksum}))
    return {
        "AGENT_PACKAGE": "/in/agent.deb",
        "RUNNER_VERSION": VERSION,
        "RUNNER_SHA256": checksum,
        "RUNNER_ARCHIVE": "/in/runner.tar.gz",
        "PROFILE": "minimal",
        "BUILD_TOOLS": "no",
    }
