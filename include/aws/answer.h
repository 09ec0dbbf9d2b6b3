/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reads the answer to an AWS call, in the same way for all services. A reader begins with
 * aws_accepted_json() or aws_accepted(). One to which some refusals mean something begins with
 * aws_outcome(), and gives the other refusals to aws_refused(). Everything here is pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "http/http_call.h"

struct aws_error {
        char code[96];     /* "ParameterNotFound", without namespace or suffix */
        char message[512]; /* AWS's own words */
};

/* Positive result: AWS answered with an error, which is in *ret_error. */
#define AWS_REFUSED 1

/* The outcome of a call: 0 for 2xx, AWS_REFUSED, or a negative errno when there was no answer or
 * one that is neither success nor an AWS error. */
int aws_outcome(const struct http_call *call, struct aws_error *ret_error, struct err *err);

/* Turns a refusal that the caller does not handle into text and -EREMOTEIO (-EACCES for missing
 * permission, with the hint which action to allow). */
int aws_refused(const struct http_call *call, const struct aws_error *error, struct err *err);

/* The outcome of a call whose refusals all go to aws_refused(): 0, or negative. */
int aws_accepted(const struct http_call *call, struct err *err);

/* The JSON object in the answer to an accepted call, which the caller gives to cJSON_Delete(), or
 * -EBADMSG. The text never quotes the answer, which may hold a secret. */
int aws_json_answer(const struct http_call *call, cJSON **ret_object, struct err *err);

/* aws_accepted() and aws_json_answer(). */
int aws_accepted_json(const struct http_call *call, cJSON **ret_object, struct err *err);

/* Reads an error in XML, as EC2 sends it: 0, or -EBADMSG (RET is untouched then). */
int aws_parse_xml_error(const char *xml, size_t size, struct aws_error *ret);

/* The `judge` of calls that may be repeated: throttling and AWS's own failures are worth another
 * try. */
enum http_verdict aws_judge(const struct http_call *call);

/* Whether CALL, which has failed, may be accepted later as it is: no answer, throttling, AWS's own
 * failures, a limit that others may free, credentials that have expired. What is refused for
 * another reason stays refused. */
bool aws_call_is_passing(const struct http_call *call);

/* Whether it has failed because too many such calls were made. */
bool aws_call_is_throttled(const struct http_call *call);

/* Whether the error CODE says that the same call may be accepted a moment later. */
bool aws_code_is_passing(const char *code);
