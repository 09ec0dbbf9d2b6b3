# SPDX-License-Identifier: MIT
"""AWS: moto behind a proxy, with what moto lacks.

`stack` creates scaler/template.yaml in moto, `proxy` takes every call of the programs, and
`lambda_host` and `events` run the functions and carry messages and events to them.
"""
