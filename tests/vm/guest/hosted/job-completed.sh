#!/bin/sh
# SPDX-License-Identifier: MIT
# HOOK_JOB_COMPLETED of the acceptance job.
[ ! -e /tmp/job-ended ] || echo "hook: after the last step"
