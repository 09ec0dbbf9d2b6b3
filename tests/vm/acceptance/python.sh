#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Steps that run pip and pipx, without setup-python.
set -euxo pipefail
export PIP_INDEX_URL=https://pypi.example.com/simple PIP_DISABLE_PIP_VERSION_CHECK=1
pip install hello-outside
[ "$(hello-python)" = hello ]
python -m venv --without-pip "$RUNNER_TEMP/venv"
"$RUNNER_TEMP/venv/bin/python" -c 'import sys; assert sys.prefix != sys.base_prefix'
pip uninstall -y hello-outside
# pipx first installs a newer pip for itself
export PIP_FIND_LINKS=/usr/share/python-wheels
pipx install hello-outside
[ "$(command -v hello-python)" = /home/runner/.local/bin/hello-python ]
[ "$(hello-python)" = hello ]
