# SPDX-License-Identifier: MIT
"""What is in the zip: a program that Lambda's glibc can load, and the authorities to trust."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

import elf
import pytest
from tree import PROJECT

from cloud.aws.template import load

SIZE_LIMIT = 2_200_000


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
    elf.assert_loads_with_old_glibc(bootstrap)


def test_it_needs_no_library_but_glibc(bootstrap):
    elf.assert_needs_glibc_only(bootstrap)


def test_it_is_hardened(bootstrap):
    elf.assert_hardened(bootstrap)


def test_nothing_in_it_is_of_the_machine_that_built_it(bootstrap):
    elf.assert_of_no_machine(bootstrap, PROJECT)
