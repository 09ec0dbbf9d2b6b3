# SPDX-License-Identifier: MIT
"""Runs the demo: `python -m tests.cloud.demo --jobs 20 --faults capacity`."""

import sys

from .show import main

sys.exit(main())
