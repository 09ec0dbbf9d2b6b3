# SPDX-License-Identifier: MIT
"""make install: what a packager gets, where it goes, and that it works from there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cloud.limits import PATIENCE
from cloud.settings import BUILD, INHERITED

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "usr/bin/scaler",
    "usr/bin/runner-agent",
    "usr/lib/runner-agent/starter",
    "usr/lib/systemd/system/poweroff.target.d/runner-agent.conf",
    "usr/lib/systemd/system/runner.service",
    "usr/lib/systemd/system/runner.slice",
    "usr/lib/systemd/system/runner.socket",
    "usr/lib/systemd/system/runner-agent.service",
    "usr/lib/systemd/system/runner-agent-deadline.service",
    "usr/lib/systemd/system/runner-agent-deadline.timer",
    "usr/lib/systemd/system/runner-agent-network.service",
    "usr/share/man/man1/scaler.1",
    "usr/share/man/man8/runner-agent.8",
    "usr/share/bash-completion/completions/scaler",
    "usr/share/bash-completion/completions/runner-agent",
    "usr/share/zsh/site-functions/_scaler",
}


def make_install(destination: Path, **variables: str) -> set[str]:
    """Install what is built already, and list the files."""
    build = BUILD.relative_to(ROOT)
    given = {"DESTDIR": str(destination), "build": str(build), **variables}
    if build.name.startswith(("address", "undefined", "thread", "leak")):
        given["SANITIZE"] = build.name.replace("-", ",")
    arguments = [f"{name}={value}" for name, value in given.items()]
    own = {name: os.environ[name] for name in INHERITED if name in os.environ}
    done = subprocess.run(
        ["make", "--no-print-directory", "install", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(destination), **own},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {str(p.relative_to(destination)) for p in destination.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    destination = tmp_path_factory.mktemp("installed")
    assert make_install(destination, PREFIX="/usr") == FILES
    return destination


def test_programs_run_from_there(installed):
    for name in ("scaler", "runner-agent"):
        done = subprocess.run([installed / "usr/bin" / name, "--version"], capture_output=True)
        assert (done.returncode, done.stdout.split()[0]) == (0, name.encode())


def test_units_name_the_installed_programs(installed):
    units = installed / "usr/lib/systemd/system"
    assert "ExecStart=/usr/bin/runner-agent" in (units / "runner-agent.service").read_text()
    assert "=/usr/lib/runner-agent/starter\n" in (units / "runner.service").read_text()
    texts = [unit.read_text() for unit in units.rglob("*.*") if unit.is_file()]
    assert not [text for text in texts if re.search("@[a-z]+@", text)]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze here")
def test_systemd_takes_every_line_of_the_units(installed, tmp_path):
    for unit in (installed / "usr/lib/systemd/system").glob("runner*"):
        text = unit.read_text().replace("=/usr/", f"={installed}/usr/")
        (tmp_path / unit.name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
    command += sorted(map(str, tmp_path.iterdir()))
    here = os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=here)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze here")
def test_the_sandbox_stays_as_tight(installed):
    unit = installed / "usr/lib/systemd/system/runner-agent.service"
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=26", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_each_folder_can_be_chosen(tmp_path):
    files = make_install(
        tmp_path, BINDIR="/b", LIBEXECDIR="/l", MANDIR="/m", BASHCOMPLETIONDIR="/c",
        ZSHCOMPLETIONDIR="/z", SYSTEMDUNITDIR="/u",
    )  # fmt: skip
    assert {name.split("/")[0] for name in files} == set("blmczu")
    assert len(files) == len(FILES)


@pytest.mark.parametrize("page", ["man1/scaler.1", "man8/runner-agent.8"])
def test_manual_pages_have_nothing_to_complain_about(installed, page):
    path = installed / "usr/share/man" / page
    lint = subprocess.run(
        ["mandoc", "-Tlint", "-W", "warning", path], capture_output=True, text=True, check=False
    )
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")
