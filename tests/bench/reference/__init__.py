# SPDX-License-Identifier: MIT
"""What the programs are compared with: others that do the same, in languages people would choose.

The floor is a static program that only talks to Lambda. Rust and Node use AWS's own runtimes and
libraries. Each is built where its tools are; the others are named, and their rows left out.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SOURCES = Path(__file__).parent
BUILD_LIMIT = 1800  # seconds; the first build of the Rust one takes minutes

LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "webhook",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/webhook",
    "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
}
"""What Lambda sets, and other runtimes ask for."""


@dataclass(frozen=True)
class Program:
    """A program to measure: its command, what it needs of the environment, and where it runs."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    answers_all: bool = True  # it does what `webhook` does, and not only talk to Lambda
    trust: tuple[str, str] = ("SSL_CERT_DIR", "folder")
    """The variable that says whom it trusts, and which form of that is the fastest for it."""


class Absent(Exception):
    """A reference that cannot be built here, and why."""


def tool(name: str) -> str:
    """Return the path of a tool that must be there."""
    found = shutil.which(name)
    if not found:
        raise Absent(f"{name} is not installed")
    return str(Path(found).resolve())


def build(command: list[str], folder: Path) -> None:
    """Run one step of a build; its output is shown only if it fails."""
    try:
        ended = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=BUILD_LIMIT
        )
    except subprocess.TimeoutExpired as expired:
        raise Absent(f"{command[0]} took more than {BUILD_LIMIT} s") from expired
    if ended.returncode != 0:
        raise Absent(f"{' '.join(command[:2])} failed: {ended.stderr.strip()[-300:]}")


def floor(folder: Path) -> Program:
    """Name the static program, which make has built."""
    return Program("floor", [str(folder.parent.parent / "floor")], answers_all=False)


def dynamic_floor(folder: Path) -> Program:
    """Name the same as a program that is linked as ours is, which make has built as well."""
    return Program(
        "dynamic floor", [str(folder.parent.parent / "floor-dynamic")], answers_all=False
    )


def rust(folder: Path) -> Program:
    """Build the reference in Rust."""
    shutil.copytree(SOURCES / "rust", folder, dirs_exist_ok=True)
    tool("cargo")
    build(["cargo", "build", "--release", "--quiet"], folder)
    command = [str(folder / "target/release/reference")]
    return Program("Rust", command, LAMBDA, trust=("SSL_CERT_FILE", "bundle"))


def node(folder: Path) -> Program:
    """Install the reference in Node."""
    shutil.copytree(SOURCES / "node", folder, dirs_exist_ok=True)
    program = tool("node")
    tool("npm")
    if not (folder / "node_modules/aws-lambda-ric/index.mjs").exists():
        build(["npm", "install", "--no-fund", "--no-audit", "--no-package-lock"], folder)
    runtime = str(folder / "node_modules/aws-lambda-ric/index.mjs")
    there = {"_HANDLER": "index.handler", "LAMBDA_TASK_ROOT": str(folder)}
    # Node has the public authorities in its program: it is told about ours alone.
    trust = ("NODE_EXTRA_CA_CERTS", "authority")
    return Program("Node", [program, runtime], LAMBDA | there, folder, trust=trust)


ALL: dict[str, Callable[[Path], Program]] = {
    "floor": floor,
    "dynamic floor": dynamic_floor,
    "Rust": rust,
    "Node": node,
}


def version(tool_name: str) -> str:
    """Say which version of a tool there is."""
    if not shutil.which(tool_name):
        return "none"
    said = subprocess.run([tool_name, "--version"], capture_output=True, text=True, check=False)
    return said.stdout.partition("\n")[0].strip()


def build_all(folder: Path) -> tuple[list[Program], dict[str, str]]:
    """Build what can be built; return it, and why the others are absent."""
    programs, absent = [], {}
    for name, make in ALL.items():
        own = (folder / name.lower().replace(" ", "-")).resolve()
        own.mkdir(parents=True, exist_ok=True)
        try:
            programs.append(make(own))
        except Absent as reason:
            absent[name] = str(reason)
    return programs, absent
