# SPDX-License-Identifier: MIT
"""The local cloud: AWS, GitHub and the machines of a job, on one computer.

Start with `cloud.cloud.Cloud`; the rooms are `aws`, `github`, `machines` and `demo`. The programs
under test reach it only through the standard endpoint settings; what exists in it is read from
scaler/template.yaml.
"""
