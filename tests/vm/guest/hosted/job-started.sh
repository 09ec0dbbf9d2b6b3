#!/bin/sh
# SPDX-License-Identifier: MIT
# HOOK_JOB_STARTED of the acceptance job.
echo "started by $(id -un)" >/tmp/hook-started
echo "hook: before the first step"
