/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Corrects a clock that is wrong at boot: certificates would not be valid yet, or no longer, and
 * AWS would refuse signatures.
 *
 * In: an answer of the metadata service. That service is on the host, needs neither TLS nor a
 * signature, and sends a Date. Out: a correct clock, and corrected agent->times. The network's time
 * service, which starts later, does the fine adjustment.
 */

#include <stdint.h>

#include "http/http.h"

struct agent;

/*
 * Sets the clock to the Date of CALL's answer when they differ by more than a minute. With
 * --no-shutdown it only warns, since that machine is somebody's own. When the clock stays wrong,
 * agent->clock_err says so, for the failures that follow from it.
 */
void set_clock(struct agent *agent, const struct http_call *call);

/* Reads "Tue, 15 Nov 1994 08:12:31 GMT" (RFC 9110, section 5.6.7): 0, or -EINVAL. Pure. */
int set_clock_parse(const char *date, int64_t *ret_wall_ms);
