# SPDX-License-Identifier: MIT
"""Speed and memory of the programs, against a peer that answers at once: `make bench`."""
