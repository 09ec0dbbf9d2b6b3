# SPDX-License-Identifier: MIT
"""Fixtures for tests of what `make build` and `make package` made for each architecture."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tree import ARCHITECTURES, PROJECT, Architecture, Tree


@pytest.fixture(params=ARCHITECTURES.values(), ids=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    """Each architecture that a zip is built for."""
    return request.param


@pytest.fixture
def archive(architecture: Architecture) -> Path:
    """Its zip."""
    return PROJECT / "build" / f"scaler-{architecture.name}.zip"


@pytest.fixture
def tree(tmp_path: Path, archive: Path, architecture: Architecture) -> Tree:
    """A directory tree with nothing but the zip's content and glibc."""
    return Tree(tmp_path / "root", archive, architecture)


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same files in a folder of another name and depth, with no git and nothing built."""
    there = tmp_path_factory.mktemp("quite-another-folder") / "of" / "another-depth"
    command = ["git", "-C", str(PROJECT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name in listed.splitlines():
        if (PROJECT / name).is_file():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, there / name)
    shutil.copytree(PROJECT / "build/deps/sources", there / "build/deps/sources")
    return there
