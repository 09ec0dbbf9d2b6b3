# SPDX-License-Identifier: MIT
"""What HashiCorp's Packer says of packer/, where it is: on PATH, with its plugin for AWS installed.

Without it these are skipped, and so is the knowledge that they would give: test_templates.py reads
the files with Packer's libraries, but the builder's own checks are in the plugin.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
QUIET = os.environ | {"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1"}


def packer(*words):
    return subprocess.run(
        ["packer", *words],
        cwd=PROJECT,
        env=QUIET,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def _there():
    if not shutil.which("packer"):
        pytest.skip("no packer on PATH")
    version = re.search(r"^Packer v(\d+)\.(\d+)", packer("version").stdout)
    if not version or (int(version[1]), int(version[2])) < (1, 10):
        pytest.skip("the packer on PATH is not HashiCorp's 1.10 or newer")


@pytest.mark.usefixtures("_there")
def test_the_files_are_formatted():
    result = packer("fmt", "-check", "-diff", "-recursive", "packer")
    assert result.returncode == 0, result.stdout


@pytest.mark.usefixtures("_there")
@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
@pytest.mark.parametrize("distribution", ["debian-12", "ubuntu-24.04", "amazon-linux-2023"])
def test_packer_takes_the_templates(tmp_path, architecture, distribution):
    if "packer-plugin-amazon" not in packer("plugins", "installed").stdout:
        pytest.skip("Packer has no plugin for AWS (packer init packer)")
    kind = "rpm" if distribution == "amazon-linux-2023" else "deb"
    package = tmp_path / f"agent.{kind}"
    package.write_text("a package")
    given = {"region": "eu-central-1", "architecture": architecture, "distribution": distribution}
    words = [f"-var={name}={value}" for name, value in given.items()]
    result = packer("validate", *words, f"-var=agent_package={package}", "packer")
    assert result.returncode == 0, result.stdout
