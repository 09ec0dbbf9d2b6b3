# SPDX-License-Identifier: MIT
"""`make demo`: the life of jobs, shown as it happens.

`show` runs it, `story` and `failover` find out what happened, and `paint` prints it.
"""
