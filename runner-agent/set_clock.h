/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The machine's clock, where it is wrong at boot: certificates would not be valid yet, or no
 * longer, and AWS would refuse signatures.
 *
 * In: an answer of the metadata service, which is on the host, needs neither, and has a Date. Out:
 * a clock that is right, and so are the times that were taken before. The network's time service,
 * which comes later, does the rest.
 */

#include <stdint.h>

#include "http/http.h"

struct agent;

/* Calls that set the machine's clock. */
typedef int (*set_clock_call)(int64_t wall_ms);
int set_clock_system(int64_t wall_ms);

/*
 * Sets the clock by the Date of CALL's answer when it differs by more than a minute. By hand
 * (--no-shutdown) it only warns: that machine is its person's. agent->clock_err says what failures
 * may come from a clock that is still wrong.
 */
void set_clock(struct agent *agent, const struct http_call *call);

/* Reads "Tue, 15 Nov 1994 08:12:31 GMT" (RFC 9110, section 5.6.7): 0, or -EINVAL. Pure. */
int set_clock_parse(const char *date, int64_t *ret_wall_ms);
