/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/http: whether a call is tried again, and when.
 */

#include "http/http_call.h"

/* Whether another try may help, going by the last one. */
bool http_is_worth_another(const struct http_call *call);

/* How long the server asks us to wait: in seconds, or until a date (RFC 9110, section 10.2.3),
 * which NOW_MS of the wall clock is compared with; -1: it does not ask. */
int64_t http_retry_after_ms(const struct http_call *call, int64_t now_ms);

/* Without its word: the longest that CALL waits after its tries so far. It waits for a random part
 * of that (full jitter), so that those that failed together do not come together again. */
uint32_t http_backoff_ms(const struct http_call *call);
