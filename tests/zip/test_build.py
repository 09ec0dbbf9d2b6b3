# SPDX-License-Identifier: MIT
"""Building the zip: only from pinned sources, and the same bytes wherever it is built."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from tree import ARCHITECTURES, PROJECT

SOURCES = PROJECT / "build/deps/sources"
PINS = PROJECT / "scaler/zip/pins"
LIBRARY_TESTS = ["http_curl", "github_token", "webhook_signature", "json", "ec2_xml"]
(HOST,) = (one.name for one in ARCHITECTURES.values() if one.native)


def run(*command, **options):
    return subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def fetch(*arguments):
    return run(PROJECT / "scaler/zip/fetch", *arguments)


@pytest.fixture
def sources(tmp_path):
    """Another folder of the sources, to spoil."""
    return shutil.copytree(SOURCES, tmp_path / "sources")


def test_pinned_sources_pass_without_a_word(sources):
    ended = fetch(PINS, sources)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("name", ["openssl_*.orig.tar.gz", "curl_*.debian.tar.xz", "expat_*.dsc"])
def test_a_changed_source_is_refused(sources, name):
    (path,) = sources.glob(name)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    ended = fetch(PINS, sources)
    assert ended.returncode == 1
    assert f"{path.name}: FAILED" in ended.stdout
    assert "Nothing was built from them" in ended.stdout


def test_a_version_that_debian_has_no_more_is_told(tmp_path):
    pins = tmp_path / "pins"
    pins.write_text(PINS.read_text().replace("  cjson_1.7.15-", "  cjson_1.7.14-"))
    ended = fetch(pins, tmp_path / "empty")
    if "list of source packages could not be fetched" in ended.stdout:
        pytest.skip("Debian's list of source packages cannot be reached")
    assert ended.returncode == 1
    told = r"no longer offers .*:\nbuild: cjson 1\.7\.14-\S+ is pinned, and 1\.7\.15-\S+ is offered"
    assert re.search(told, ended.stdout)
    assert "scaler/zip/fetch --pin" in ended.stdout


def test_an_unknown_architecture_is_told():
    ended = run(PROJECT / "scaler/zip/dependencies", "sparc")
    assert ended.returncode == 2
    assert "there are: x86_64 arm64" in ended.stdout


def test_a_program_for_a_newer_glibc_is_not_packed(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF\0GLIBC_2.2.5\0GLIBC_2.36\0GLIBC_2.34\0")
    ended = run(PROJECT / "scaler/zip/pack", program, tmp_path / "some.zip")
    assert ended.returncode == 1
    assert "asks for glibc 2.36, and Lambda has 2.34" in ended.stdout
    assert not (tmp_path / "some.zip").exists()


def test_nothing_is_compiled_again_without_need():
    ended = run("make", "-C", str(PROJECT), "build", f"ARCH={HOST}")
    assert ended.returncode == 0, ended.stdout
    assert "compiling" not in ended.stdout
    assert "  CC " not in ended.stdout


@pytest.mark.parametrize("name", LIBRARY_TESTS)
def test_a_unit_test_passes_with_the_libraries_of_the_zip(name):
    program = PROJECT / f"build/zip/{HOST}/unit/test_{name}"
    assert "libcurl" not in run("ldd", program).stdout
    ended = run(program)
    assert ended.returncode == 0, ended.stdout


def test_it_is_the_same_wherever_it_is_built(tmp_path, elsewhere):
    ours = PROJECT / f"build/scaler-{HOST}.zip"
    with zipfile.ZipFile(ours) as opened:
        program = Path(opened.extract("bootstrap", tmp_path))
    program.chmod(0o755)
    version = run(program, "--version").stdout.split()[1]
    ended = run("make", "-C", elsewhere, "build", f"ARCH={HOST}", f"version={version}")
    assert ended.returncode == 0, ended.stdout
    assert (elsewhere / f"build/scaler-{HOST}.zip").read_bytes() == ours.read_bytes()
