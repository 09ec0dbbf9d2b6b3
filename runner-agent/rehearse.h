/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The way to the hand-over, once through with made-up answers: what runs for the first time waits
 * for its code to be read and linked.
 */

#include "base/err.h"

struct http_call;

/* Reads answers as the metadata service and SSM give them. In *RET_QUESTION: the question for the
 * hand-over of a machine that does not exist, to URL, for the caller to ask and to free. 0, or
 * negative when a made-up answer is not what is expected of a real one. */
int rehearse(const char *url, struct http_call **ret_question, struct err *err);
