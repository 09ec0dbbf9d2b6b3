#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Actions that add an archive and install from it, without -y and without an answer.
set -euxo pipefail
echo 'deb [trusted=yes] https://packages.example.com ./' | sudo tee /etc/apt/sources.list.d/outside.list
sudo apt-get update
sudo apt-get install hello-outside
[ "$(hello-outside)" = hello ]
