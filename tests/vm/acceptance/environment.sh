#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every step: the variables of .env, also by sudo; the user; limits; what SETUP_SCRIPT and the hook have left.
set -euxo pipefail
# shellcheck disable=SC2154 # from .env
[ "$ImageOS $RUNNER_TOOL_CACHE $ACCEPT_EULA" = "debian13 /opt/hostedtoolcache Y" ]
[ "$TEAM" = "a team's \"own\" variable" ]
case $PATH in /home/runner/.local/bin:/home/runner/.cargo/bin:*) ;; *) exit 1 ;; esac
[ "$(sudo printenv DEBIAN_FRONTEND)" = noninteractive ]
[ "$(sudo printenv RUNNER_TOOL_CACHE)" = "$RUNNER_TOOL_CACHE" ]
[ "$(id -u) $(sudo id -u)" = "1001 0" ]
[ "$(ulimit -Sn) $(ulimit -Ss)" = "65536 16384" ]
[ "$(cat /proc/sys/vm/max_map_count /proc/sys/fs/inotify/max_user_watches)" = $'262144\n655360' ]
[ "$(cat /etc/baked)" = "baked by root" ]
[ "$(cat /tmp/hook-started)" = "started by runner" ]
