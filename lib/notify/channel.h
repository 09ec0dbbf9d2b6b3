/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the channels have in common: a JSON message is posted to a webhook whose URL is a secret as
 * a whole. Private to lib/notify.
 */

#include <cjson/cJSON.h>

#include "base/err.h"
#include "http/http.h"

/* NAME is a literal: "Teams". */
struct http_call *channel_call(const char *name, const char *url, const cJSON *message);

/* 0 for any 2xx, or negative. VARIABLE is where people set the URL. */
int channel_answer(const struct http_call *call, const char *variable, struct err *err);
