/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Beside the first stage, while the network or the metadata service is not there yet: does what
 * would otherwise be done between that and the runner's start.
 */

/* Takes a few milliseconds. Failures are ignored: they return, and are reported, when the thing is
 * needed. */
void warm_up(void);
