# SPDX-License-Identifier: MIT
"""Packer itself, of the version and with the plugin that tests/packer/tools builds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cloud.limits import PATIENCE

PROJECT = Path(__file__).resolve().parents[2]
TOOLS = PROJECT / "build" / "tools" / "packer"


class Packer:
    """Runs Packer without this machine's settings for it, and without asking anybody for news."""

    program = TOOLS / "packer"

    def __init__(self, home: Path):
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PKR_VAR_")
        } | {
            "PACKER_PLUGIN_PATH": str(TOOLS / "plugins"),
            "PACKER_CONFIG_DIR": str(home),
            "CHECKPOINT_DISABLE": "1",
            "PACKER_NO_COLOR": "1",
        }

    def run(self, *words, told=""):
        """Give its status, and all that it printed."""
        return subprocess.run(
            [self.program, *words],
            cwd=PROJECT,
            env=self.environment,
            input=told,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture
def packer(tmp_path):
    """Give what runs the Packer that was built."""
    return Packer(tmp_path)
