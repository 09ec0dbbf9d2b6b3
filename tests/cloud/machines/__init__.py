# SPDX-License-Identifier: MIT
"""The machines that instances boot: processes of the real agent on this computer.

`fleet` boots and ends them, `machine` is the life of one, `metadata` its IMDS, and `runner` stands
in for GitHub's runner.
"""
