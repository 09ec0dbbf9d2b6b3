# SPDX-License-Identifier: MIT
"""Tests of the local cloud itself."""
