#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# setup-qemu-action: a privileged container registers a format of programs with the kernel.
set -euxo pipefail
docker run --rm --privileged registry.example.com/busybox:1 sh -ec '
  mount -t binfmt_misc binfmt_misc /mnt
  echo ":outside:M::outside-program::/bin/true:" >/mnt/register
  grep enabled /mnt/outside'
