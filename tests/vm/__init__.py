# SPDX-License-Identifier: MIT
"""Virtual machines for the local cloud, and the tests that run on them."""
