# SPDX-License-Identifier: MIT
"""Making the packages: the same bytes from the same commit, and nothing from what is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from package import Deb, Rpm, as_root, read
from tree import ARCHITECTURES, PROJECT

PACKAGE = PROJECT / "runner-agent/package"
BUILD = PROJECT / "build"
(HOST,) = (one for one in ARCHITECTURES.values() if one.native)
STABLE = [Deb(HOST).path, Rpm(HOST).path]


def run(*command, **options):
    return subprocess.run(
        [str(word) for word in command], check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )  # fmt: skip


def version(*arguments):
    return run(PACKAGE / "version", *arguments).stdout.strip()


@pytest.fixture
def tree(tmp_path):
    """An installed tree to pack, without documents: those of the packages."""
    read("dpkg-deb", "--extract", Deb(HOST).path, tmp_path / "tree")
    shutil.rmtree(tmp_path / "tree/usr/share/doc")
    return tmp_path / "tree"


@pytest.fixture
def unchanged():
    """Whatever was tried and failed: nothing is there under a final name that was not before."""
    before = {path: path.read_bytes() for path in BUILD.glob("runner-agent*.*")}
    yield
    assert {path: path.read_bytes() for path in BUILD.glob("runner-agent*.*")} == before


def pack(tree, packed_version="0~test", seconds="1795470855", name=HOST.name, **options):
    return run(PACKAGE / "pack", name, packed_version, seconds, tree, **options)


def test_it_is_the_same_wherever_it_is_built(tmp_path, elsewhere):
    read("dpkg-deb", "--extract", Deb(HOST).path, tmp_path)
    program = tmp_path / "usr/bin/runner-agent"
    described = run(program, "--version").stdout.split()[1]
    settings = [f"version={described}", f"SOURCE_DATE_EPOCH={int(program.stat().st_mtime)}"]
    ended = run("make", "-C", elsewhere, "package", f"ARCH={HOST.name}", *settings)
    assert ended.returncode == 0, ended.stdout
    for path in STABLE:
        assert (elsewhere / "build" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_name_with_the_version_is_the_same_package(architecture):
    deb, rpm = Deb(architecture), Rpm(architecture)
    name = f"runner-agent_{deb.fields()['Version']}_{deb.architecture}"
    assert (BUILD / f"{name}.deb").read_bytes() == deb.path.read_bytes()
    assert (BUILD / f"{name}.rpm").read_bytes() == rpm.path.read_bytes()


# -- versions -------------------------------------------------------------------------------------

HISTORY = [
    ("fe56d0bdd5b5", "1795470855"),
    ("fe56d0bdd5b5-dirty", "1795470855"),
    ("012345678901", "1795470856"),
    ("v1.0", "1795470900"),
    ("v1.0-1-gfe56d0bdd5b5", "1795470950"),
    ("v1.0-10-gfe56d0bdd5b5", "1795470999"),
    ("v1.1", "1795471000"),
]


@pytest.mark.parametrize(("earlier", "later"), list(pairwise(HISTORY)))
def test_a_later_commit_is_a_newer_version(earlier, later):
    old, new = version(*earlier), version(*later)
    assert run("dpkg", "--compare-versions", old, "lt", new).returncode == 0, (old, new)
    lua = f'%{{lua:print(rpm.vercmp("{old}", "{new}"))}}'
    assert run("rpm", "--eval", lua).stdout.strip() == "-1", (old, new)


@pytest.mark.parametrize("wrong", [("unknown", "1"), ("", "1"), ("abc", ""), ("a b", "1")])
def test_no_version_is_made_of_nothing(wrong):
    ended = run(PACKAGE / "version", *wrong)
    assert ended.returncode == 1
    assert "no version can be made of" in ended.stdout
    assert "version=... SOURCE_DATE_EPOCH=..." in ended.stdout


# -- what is wrong is told, and leaves nothing ----------------------------------------------------


@pytest.mark.parametrize("target", ["package", "build"])
def test_an_unknown_architecture_is_told(target, unchanged):
    ended = run("make", "-C", PROJECT, target, "ARCH=sparc")
    assert ended.returncode == 2
    assert "no architecture named sparc; there are: ARCH=x86_64 ARCH=arm64" in ended.stdout


@pytest.mark.parametrize("script", ["libsystemd", "pack"])
def test_an_unknown_architecture_is_told_by_each_script(script, unchanged, tree):
    ended = run(PACKAGE / script, "sparc", "0~test", "1", tree)
    assert ended.returncode != 0
    assert "no architecture named sparc; there are: x86_64 arm64" in ended.stdout


@pytest.mark.parametrize("missing", ["rpmbuild", "dpkg-deb"])
def test_a_missing_tool_is_told(tmp_path, tree, unchanged, missing):
    tools = tmp_path / "tools"
    tools.mkdir()
    for path in Path("/usr/bin").iterdir():
        if path.name != missing:
            (tools / path.name).symlink_to(path)
    ended = pack(tree, env={"PATH": str(tools)})
    assert ended.returncode == 1
    assert f"there is no {missing}; Debian's package" in ended.stdout


def test_another_distribution_is_refused(tmp_path):
    release = tmp_path / "os-release"
    release.write_text("VERSION_CODENAME=noble\n")
    shell = f'mount --bind "{release}" "$(realpath /etc/os-release)" && exec "$@"'
    command = ["unshare", "--mount", *as_root()[1:], "sh", "-c", shell, "sh"]
    if run(*command, "true").returncode != 0:
        pytest.skip("no mounts here")
    ended = run(*command, PROJECT / "scaler/zip/fetch", PACKAGE / "pins")
    assert ended.returncode == 1
    assert "this machine is noble, not Debian 12 (bookworm)" in ended.stdout


def test_a_program_for_a_newer_glibc_is_not_packed(tree, unchanged):
    shutil.copy("/usr/bin/bash", tree / "usr/lib/runner-agent/newer")  # of Debian 12, with 2.36
    ended = pack(tree)
    assert ended.returncode == 1
    assert "/usr/lib/runner-agent/newer asks for glibc 2.36" in ended.stdout


def test_what_rpm_refuses_leaves_no_deb_either(tree, unchanged):
    ended = pack(tree, packed_version="0~test-1")
    assert ended.returncode == 1
    assert re.search("rpmbuild failed:.*Illegal char", ended.stdout, re.DOTALL)


def test_libsystemd_is_built_once():
    ended = run(PACKAGE / "libsystemd", HOST.name)
    assert (ended.returncode, ended.stdout) == (0, "")
