# SPDX-License-Identifier: MIT
"""What is in the zip: a program that Lambda's glibc can load, and the authorities to trust."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from tree import PROJECT

from cloud.template import load

SIZE_LIMIT = 2_200_000
GLIBC_LIMIT = (2, 34)


def read(*command: object) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def bootstrap(tmp_path, archive):
    with zipfile.ZipFile(archive) as opened:
        return Path(opened.extract("bootstrap", tmp_path))


def test_it_is_small_and_holds_the_program_and_authorities_only(archive):
    assert archive.stat().st_size <= SIZE_LIMIT
    with zipfile.ZipFile(archive) as opened:
        entries = {entry.filename: entry for entry in opened.infolist()}
    program = entries.pop("bootstrap")
    assert program.external_attr >> 16 == 0o100755
    assert len(entries) > 100
    assert {entry.external_attr >> 16 for entry in entries.values()} == {0o100644}
    assert [name for name in entries if not re.fullmatch(r"ca/[0-9a-f]{8}\.\d", name)] == []


def test_the_template_names_its_folder_of_authorities():
    resources = load()["Resources"]
    functions = {
        name: resource["Properties"]["Environment"]["Variables"].get("SSL_CERT_DIR")
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    assert len(functions) > 5
    assert set(functions.values()) == {"/var/task/ca"}


def test_openssl_finds_each_authority_by_its_name(tmp_path, archive):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    names = [path.name for path in (tmp_path / "ca").iterdir()]
    verify = ["openssl", "verify", "-no-CAfile", "-no_check_time", "-CApath", tmp_path / "ca"]
    for name in names:
        subject, _, number = name.partition(".")
        if number == "0":
            assert read(*verify, tmp_path / "ca" / name).endswith(": OK\n")
        else:  # another one of the same subject: found after the one before
            assert f"{subject}.{int(number) - 1}" in names


def test_it_loads_with_the_glibc_of_lambda(bootstrap):
    symbols = read("readelf", "--wide", "--dyn-syms", "--version-info", bootstrap)
    versions = {tuple(map(int, found)) for found in re.findall(r"GLIBC_(\d+)\.(\d+)", symbols)}
    assert versions
    assert max(versions) <= GLIBC_LIMIT
    assert "GLIBC_ABI_DT_RELR" not in symbols


def test_it_needs_no_library_but_glibc(bootstrap):
    dynamic = read("readelf", "--wide", "--dynamic", bootstrap)
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    loaders = {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
    assert "libc.so.6" in needed
    assert needed - loaders <= {"libc.so.6", "libm.so.6"}
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


def test_it_is_hardened(bootstrap):
    header = read("readelf", "--wide", "--file-header", "--program-headers", bootstrap)
    dynamic = read("readelf", "--wide", "--dynamic", bootstrap)
    assert "DYN (Position-Independent Executable file)" in header
    assert re.search(r"GNU_STACK.* RW ", header) and "GNU_RELRO" in header
    assert "NOW" in dynamic


def test_nothing_in_it_is_of_the_machine_that_built_it(bootstrap):
    content = bootstrap.read_bytes()
    assert str(PROJECT).encode() + b"/" not in content
    assert b"build/deps" not in content
