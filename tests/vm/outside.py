# SPDX-License-Identifier: MIT
"""The hosts outside that a job of the acceptance test uses; what they have is made here.

They are an archive of Debian, an index of Python packages, a registry of container images, and
files with a repository of git among them.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NAMES = [f"{name}.example.com" for name in ("packages", "pypi", "registry", "files")]
DOCKER = "application/vnd.docker"


class Outside:
    """One web server for all of the hosts, on a loopback port without TLS.

    pages   host and path, and the type and content that are answered
    asked   host and path of what was asked for, in order
    """

    def __init__(self, folder: Path, busybox: Path) -> None:
        folder.mkdir()
        self.asked: list[str] = []
        self.pages = {
            **_archive(folder),
            **_index(),
            **_registry(busybox.read_bytes()),
            **_repository(folder),
            "files.example.com/hello": ("text/plain", b"hello from outside\n"),
        }
        outside = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outside.answer(self)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request with its page, or with 404."""
        name = request.headers["Host"].partition(":")[0] + request.path.partition("?")[0]
        self.asked.append(name)
        kind, content = self.pages.get(name, ("", b""))
        request.send_response(200 if kind else 404)
        request.send_header("Content-Type", kind or "text/plain")
        request.send_header("Content-Length", str(len(content)))
        if "registry" in name:
            request.send_header("Docker-Content-Digest", _digest(content))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(content)


Pages = dict[str, tuple[str, bytes]]


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _archive(folder: Path) -> Pages:
    """Make an archive of Debian with one package, which has a program."""
    root = folder / "package"
    (root / "DEBIAN").mkdir(parents=True)
    control = (
        "Package: hello-outside\nVersion: 1\nArchitecture: all\nDepends: zip\n"
        "Maintainer: nobody <nobody@example.com>\nDescription: says hello\n"
    )
    (root / "DEBIAN/control").write_text(control)
    program = root / "usr/bin/hello-outside"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    file = folder / "hello.deb"
    build = ["dpkg-deb", "--build", "--root-owner-group", root, file]
    subprocess.run(build, check=True, capture_output=True)
    content = file.read_bytes()
    packages = (
        f"{control}Filename: ./hello.deb\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )
    return {
        "packages.example.com/./Packages": ("text/plain", packages.encode()),
        "packages.example.com/Packages": ("text/plain", packages.encode()),
        "packages.example.com/./hello.deb": ("application/octet-stream", content),
        "packages.example.com/hello.deb": ("application/octet-stream", content),
    }


def _index() -> Pages:
    """Make an index of Python packages with one wheel, which has a command."""
    info = "hello_outside-1.dist-info"
    files = {
        "hello_outside.py": 'def main():\n    print("hello")\n',
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: hello-outside\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nhello-python = hello_outside:main\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    name = "hello_outside-1-py3-none-any.whl"
    link = f'<a href="../../{name}">{name}</a>'
    return {
        "pypi.example.com/simple/hello-outside/": ("text/html", link.encode()),
        f"pypi.example.com/{name}": ("application/octet-stream", wheel.getvalue()),
    }


def _registry(busybox: bytes) -> Pages:
    """Make a registry with the image busybox:1, of one layer."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for folder in ("bin", "tmp", "etc", "mnt"):
            archive.addfile(_entry(folder, tarfile.DIRTYPE))
        file = _entry("bin/busybox", tarfile.REGTYPE)
        file.size = len(busybox)
        archive.addfile(file, io.BytesIO(busybox))
        for name in ("sh", "cat", "echo", "env", "httpd", "id", "ls", "mount", "nc", "sleep",
                     "tail", "wget", "mkdir", "grep", "timeout"):  # fmt: skip
            link = _entry(f"bin/{name}", tarfile.SYMTYPE)
            link.linkname = "busybox"
            archive.addfile(link)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer.getvalue())]},
    }
    blobs = {
        f"{DOCKER}.container.image.v1+json": json.dumps(config).encode(),
        f"{DOCKER}.image.rootfs.diff.tar": layer.getvalue(),
    }
    parts = [
        {"mediaType": kind, "size": len(blob), "digest": _digest(blob)}
        for kind, blob in blobs.items()
    ]
    kind = f"{DOCKER}.distribution.manifest.v2+json"
    document = {"schemaVersion": 2, "mediaType": kind, "config": parts[0], "layers": parts[1:]}
    manifest = json.dumps(document).encode()
    place = "registry.example.com/v2"
    return {
        f"{place}/": ("application/json", b"{}"),
        f"{place}/busybox/manifests/1": (kind, manifest),
        f"{place}/busybox/manifests/{_digest(manifest)}": (kind, manifest),
        **{
            f"{place}/busybox/blobs/{_digest(blob)}": ("application/octet-stream", blob)
            for blob in blobs.values()
        },
    }


def _entry(name: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, 0o1777 if name == "tmp" else 0o755
    return entry


def _repository(folder: Path) -> Pages:
    """Make a repository that git reads as plain files."""
    work, bare = folder / "work", folder / "project.git"
    git = ["git", "-c", "user.name=n", "-c", "user.email=n@example.com"]
    for command in (
        ["init", "-q", "-b", "main", work],
        ["-C", work, "commit", "-q", "--allow-empty", "-m", "one"],
        ["clone", "-q", "--bare", work, bare],
        ["-C", bare, "update-server-info"],
    ):
        subprocess.run([*git, *command], check=True, capture_output=True)
    return {
        f"files.example.com/{path.relative_to(folder)}": ("text/plain", path.read_bytes())
        for path in bare.rglob("*")
        if path.is_file()
    }
