/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/aws: what the services share when they read answers.
 */

#include <stdbool.h>
#include <stddef.h>

#include "aws/aws.h"
#include "base/json.h"

/* Judge of calls that may be repeated: throttling and AWS's own failures are worth another try. */
enum http_verdict aws_judge(const struct http_call *call);

/* Whether the error CODE says that the same call may be accepted a moment later. */
bool aws_code_is_passing(const char *code);

/* The outcome of a call whose refusal needs no handling: 0, or negative. */
int aws_accepted(const struct http_call *call, struct err *err);

/* The JSON object in the answer to an accepted call, given to cJSON_Delete() by the caller, or
 * -EBADMSG. The text never quotes the answer, which may hold a secret. */
int aws_json_answer(const struct http_call *call, cJSON **ret_object, struct err *err);

/* aws_accepted() and aws_json_answer(). */
int aws_accepted_json(const struct http_call *call, cJSON **ret_object, struct err *err);

/* Overwrites all strings of a tree that holds a secret, and frees it. */
void aws_json_free_secret(cJSON **object);
#define _cleanup_json_secret_ _cleanup_(aws_json_free_secret)

/* Copies SIZE bytes of UTF-8 into TO and ends them with a NUL; what does not fit in TO_SIZE is cut
 * off before a whole character. */
void aws_copy_text(char *to, size_t to_size, const char *from, size_t size);
