#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A container that asks for the machine's role is refused at once; one in the machine's own network is not.
set -euxo pipefail
image=registry.example.com/busybox:1
said=$(docker run --rm $image sh -c 'timeout 300 nc 169.254.169.254 80 </dev/null' 2>&1) || true
grep -i refused <<<"$said"
said=$(docker run --rm --network host $image sh -c 'timeout 300 wget -Y off -S -O- http://169.254.169.254/' 2>&1) || true
grep 'HTTP/1.* 401' <<<"$said"
