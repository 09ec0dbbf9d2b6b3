# SPDX-License-Identifier: MIT
"""Fixtures of the zip's tests. They look at build/scaler-ARCH.zip, which `make build` made."""

from __future__ import annotations

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
