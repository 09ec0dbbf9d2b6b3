/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/notify: what the channels share. Each posts a JSON message to a webhook whose URL
 * is secret as a whole.
 */

#include <cjson/cJSON.h>

#include "base/err.h"
#include "http/http_call.h"

/* NAME is a literal: "Teams". */
struct http_call *channel_call(const char *name, const char *url, const cJSON *message);

/* 0 for any 2xx that does not say otherwise, or negative: -EPROTO where this message is refused,
 * -EAGAIN where any would be, for now. VARIABLE is the setting with the URL. */
int channel_answer(const struct http_call *call, const char *variable, struct err *err);
