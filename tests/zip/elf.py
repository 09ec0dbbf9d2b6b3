# SPDX-License-Identifier: MIT
"""What a program asks of the machine that it runs on, as readelf tells it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

LOADERS = {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
GLIBC_LIMIT = (2, 34)  # what Lambda's provided.al2023 and Amazon Linux 2023 have


def _readelf(program: Path, *what: str) -> str:
    command = ["readelf", "--wide", *what, str(program)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def assert_loads_with_old_glibc(program: Path) -> None:
    """Every glibc symbol is of a version that the oldest system has."""
    symbols = _readelf(program, "--dyn-syms", "--version-info")
    versions = {tuple(map(int, found)) for found in re.findall(r"GLIBC_(\d+)\.(\d+)", symbols)}
    assert versions
    assert max(versions) <= GLIBC_LIMIT
    assert "GLIBC_ABI_DT_RELR" not in symbols


def assert_needs_glibc_only(program: Path) -> None:
    """No other shared library is loaded, and none from an unusual place."""
    dynamic = _readelf(program, "--dynamic")
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    assert "libc.so.6" in needed
    assert needed - LOADERS <= {"libc.so.6", "libm.so.6"}
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


def assert_hardened(program: Path) -> None:
    """Its addresses are random, its stack holds no code, its tables are read-only once loaded."""
    header = _readelf(program, "--file-header", "--program-headers")
    assert "DYN (Position-Independent Executable file)" in header
    assert re.search(r"GNU_STACK.* RW ", header) and "GNU_RELRO" in header
    assert "NOW" in _readelf(program, "--dynamic")


def assert_of_no_machine(program: Path, project: Path) -> None:
    """Nothing in it tells where it was built."""
    content = program.read_bytes()
    assert str(project).encode() + b"/" not in content
    assert b"build/deps" not in content
