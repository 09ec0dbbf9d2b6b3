#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Whatever uses Docker: its daemon starts when it is first asked, and pulls by proxy and authority.
set -euxo pipefail
docker version --format '{{.Server.APIVersion}}'
docker pull registry.example.com/busybox:1
docker run --rm registry.example.com/busybox:1 env | grep '^HTTPS_PROXY=http://169.254.169.22:3128$'
docker info --format '{{.CgroupDriver}} {{.SecurityOptions}}' | grep 'systemd.*apparmor'
